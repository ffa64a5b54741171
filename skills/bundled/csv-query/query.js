/** Questions about CSV text. Reading it is Papa Parse's, vendored from its package. */
import Papa from './papaparse.js'

const DEFAULT_LIMIT = 100
const MAX_WARNINGS = 5
/** Not `007` or `1e5` or a telephone number: those are read as people wrote them. */
const NUMBER = /^-?(?:0|[1-9]\d{0,14})(?:\.\d+)?$/

export function run(input) {
  const table = read(input)
  const kept = table.rows.filter((row) => (input.where ?? []).every((rule) => holds(row[column(table, rule.column)], rule)))
  const isGrouped = input.group_by !== undefined || input.aggregates !== undefined
  const grouped = isGrouped ? group({ ...table, rows: kept }, input) : { ...table, rows: kept }
  const sorted = sort(grouped, input.order_by ?? [])
  const offset = input.offset ?? 0
  const page = sorted.slice(offset, offset + (input.limit ?? DEFAULT_LIMIT))
  const names = isGrouped || input.columns === undefined ? grouped.names : input.columns
  const chosen = names.map((name) => column(grouped, name))
  return {
    columns: names,
    rows: page.map((row) => Object.fromEntries(names.map((name, index) => [name, row[chosen[index]] ?? '']))),
    total: sorted.length,
    warnings: table.warnings,
  }
}

/** Rows as lists, so that a column may have any name. */
function read({ csv, header = true, delimiter = '' }) {
  const { data, errors } = Papa.parse(csv, { delimiter, skipEmptyLines: 'greedy' })
  const lines = data.map((line) => line.map(valueOf))
  const width = lines.reduce((most, line) => Math.max(most, line.length), 0)
  const names = header ? unique((data[0] ?? []).map((name) => name.trim())) : Array.from({ length: width }, (_, n) => `column${n + 1}`)
  const rows = header ? lines.slice(1) : lines
  const uneven = rows.filter((row) => row.length !== names.length).length
  const warnings = errors
    .filter(({ type }) => type !== 'Delimiter')
    .map(({ message, row }) => `${message}${row === undefined ? '' : ` (row ${row + 1})`}`)
  if (uneven > 0) warnings.push(`${uneven} rows have more or fewer values than there are columns`)
  return { names, rows, warnings: warnings.slice(0, MAX_WARNINGS) }
}

const valueOf = (text) => (NUMBER.test(text) ? Number(text) : text)

function unique(names) {
  const seen = new Map()
  return names.map((name, index) => {
    const given = name === '' ? `column${index + 1}` : name
    const times = (seen.get(given) ?? 0) + 1
    seen.set(given, times)
    return times === 1 ? given : `${given}_${times}`
  })
}

function column({ names }, name) {
  const index = names.indexOf(name)
  if (index < 0) throw new Error(`there is no column "${name}"; there are: ${names.slice(0, 30).join(', ')}`)
  return index
}

/** @param {unknown} value @param {{is: string, value?: unknown}} test */
function holds(value = '', { is, value: wanted = '' }) {
  switch (is) {
    case 'empty':
      return value === ''
    case 'not_empty':
      return value !== ''
    case 'in':
      return Array.isArray(wanted) && wanted.some((each) => compare(value, each) === 0)
    case 'contains':
      return String(value).toLowerCase().includes(String(wanted).toLowerCase())
    case 'starts_with':
      return String(value).toLowerCase().startsWith(String(wanted).toLowerCase())
    case 'ends_with':
      return String(value).toLowerCase().endsWith(String(wanted).toLowerCase())
    case '=':
      return compare(value, wanted) === 0
    case '!=':
      return compare(value, wanted) !== 0
    case '<':
      return value !== '' && compare(value, wanted) < 0
    case '<=':
      return value !== '' && compare(value, wanted) <= 0
    case '>':
      return value !== '' && compare(value, wanted) > 0
    default:
      return value !== '' && compare(value, wanted) >= 0
  }
}

/** Numbers before text. */
function compare(a, b) {
  const [x, y] = [numberOf(a), numberOf(b)]
  if (x !== null && y !== null) return x - y
  if (x !== null || y !== null) return x !== null ? -1 : 1
  const [left, right] = [String(a), String(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

const numberOf = (value) => (typeof value === 'number' ? value : NUMBER.test(String(value)) ? Number(value) : null)

function group(table, { group_by: by = [], aggregates = [{ function: 'count' }] }) {
  const keys = by.map((name) => column(table, name))
  const wanted = aggregates.map((each) => ({
    run: AGGREGATES[each.function],
    from:
      each.function === 'count' && each.column === undefined ? null : column(table, each.column ?? fail(`${each.function} needs a column`)),
    name: each.as ?? (each.column === undefined ? each.function : `${each.function}_${each.column}`),
  }))
  const groups = new Map(by.length === 0 ? [['[]', { key: [], rows: [] }]] : [])
  for (const row of table.rows) {
    const key = keys.map((index) => row[index] ?? '')
    const name = JSON.stringify(key)
    const found = groups.get(name) ?? { key, rows: [] }
    found.rows.push(row)
    groups.set(name, found)
  }
  const rows = [...groups.values()].map(({ key, rows }) => [
    ...key,
    ...wanted.map(({ run, from }) =>
      run(from === null ? rows.map(() => 1) : rows.map((row) => row[from] ?? '').filter((value) => value !== '')),
    ),
  ])
  return { names: [...by, ...wanted.map(({ name }) => name)], rows }
}

const numbers = (values) => values.filter((value) => typeof value === 'number')
const sum = (values) =>
  Number(
    numbers(values)
      .reduce((total, value) => total + value, 0)
      .toPrecision(15),
  )

const AGGREGATES = {
  count: (values) => values.length,
  sum,
  avg: (values) => (numbers(values).length === 0 ? '' : sum(values) / numbers(values).length),
  min: (values) => values.reduce((least, value) => (least === '' || compare(value, least) < 0 ? value : least), ''),
  max: (values) => values.reduce((most, value) => (most === '' || compare(value, most) > 0 ? value : most), ''),
  median: (values) => {
    const sorted = numbers(values).sort((a, b) => a - b)
    if (sorted.length === 0) return ''
    const middle = sorted.length >> 1
    return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  },
  distinct: (values) => new Set(values).size,
}

function sort(table, order) {
  const keys = order.map(({ column: name, descending }) => ({ index: column(table, name), sign: descending === true ? -1 : 1 }))
  return [...table.rows].sort((a, b) => {
    for (const { index, sign } of keys) {
      const difference = compare(a[index] ?? '', b[index] ?? '')
      if (difference !== 0) return difference * sign
    }
    return 0
  })
}

function fail(message) {
  throw new Error(message)
}
