/** Reads an expression into a tree: `+ -`, then `* / %`, then the sign, then `^` from the right, then `!`. */

const TOKEN = /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\*\*|[-+*/%^!(),×÷−]))/y
const SAME = { '**': '^', '×': '*', '÷': '/', '−': '-' }
const MAX_DEPTH = 100

export function parse(text) {
  const reader = { tokens: tokens(text), at: 0, depth: 0 }
  const tree = sum(reader)
  if (peek(reader) !== undefined) throw new Error(`"${peek(reader).text}" is not expected at ${peek(reader).at}`)
  return tree
}

function tokens(text) {
  const found = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const at = TOKEN.lastIndex
    const match = TOKEN.exec(text)
    if (match === null) throw new Error(`"${text.slice(at).trim().slice(0, 10)}" at ${at + 1} is not understood`)
    const [whole, number, name, sign] = match
    const place = at + 1 + whole.length - whole.trimStart().length
    if (number !== undefined) found.push({ is: 'number', text: number, at: place })
    else if (name !== undefined) found.push({ is: 'name', text: name, at: place })
    else found.push({ is: SAME[sign] ?? sign, text: sign, at: place })
  }
  return found
}

const peek = (reader) => reader.tokens[reader.at]

function take(reader, ...kinds) {
  const token = peek(reader)
  if (token === undefined || !kinds.includes(token.is)) return null
  reader.at += 1
  return token
}

function need(reader, kind) {
  const token = take(reader, kind)
  if (token === null) throw new Error(`"${kind}" is missing at ${peek(reader)?.at ?? 'the end'}`)
  return token
}

const sum = (reader) => chain(reader, product, '+', '-')
const product = (reader) => chain(reader, signed, '*', '/', '%')

function chain(reader, part, ...signs) {
  let left = part(reader)
  for (let sign = take(reader, ...signs); sign !== null; sign = take(reader, ...signs)) left = { is: sign.is, left, right: part(reader) }
  return left
}

function signed(reader) {
  const sign = take(reader, '-', '+')
  if (sign === null) return raised(reader)
  return deeper(reader, () => (sign.is === '-' ? { is: 'negate', of: signed(reader) } : signed(reader)))
}

function raised(reader) {
  const left = counted(reader)
  if (take(reader, '^') === null) return left
  return deeper(reader, () => ({ is: '^', left, right: signed(reader) }))
}

function counted(reader) {
  let of = atom(reader)
  while (take(reader, '!') !== null) of = { is: 'factorial', of }
  return of
}

function atom(reader) {
  const number = take(reader, 'number')
  if (number !== null) return { is: 'number', text: number.text }
  const name = take(reader, 'name')
  if (name !== null)
    return take(reader, '(') === null ? { is: 'name', name: name.text } : { is: 'call', name: name.text, given: list(reader) }
  need(reader, '(')
  const inner = deeper(reader, () => sum(reader))
  need(reader, ')')
  return inner
}

function list(reader) {
  const given = []
  if (take(reader, ')') !== null) return given
  do given.push(deeper(reader, () => sum(reader)))
  while (take(reader, ',') !== null)
  need(reader, ')')
  return given
}

function deeper(reader, read) {
  if (++reader.depth > MAX_DEPTH) throw new Error(`it is nested deeper than ${MAX_DEPTH}`)
  const tree = read()
  reader.depth -= 1
  return tree
}
