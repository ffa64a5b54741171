/** What `promtool check metrics` looks at, as far as it concerns us: form, HELP and TYPE, endings, repeats. */

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (NaN|[+-]Inf|[-+0-9.e]+)$/

export function lint(text: string): readonly string[] {
  const help = new Set<string>()
  const types = new Map<string, string>()
  const seen = new Set<string>()
  const problems: string[] = []
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line)
    if (comment?.[1] === 'HELP') help.add(comment[2] ?? '')
    else if (comment) types.set(comment[2] ?? '', comment[3] ?? '')
    else problems.push(...sample(line, help, types, seen))
  }
  if (!text.endsWith('\n')) problems.push('no line end at the end')
  return problems
}

function sample(line: string, help: ReadonlySet<string>, types: ReadonlyMap<string, string>, seen: Set<string>): readonly string[] {
  const found = SAMPLE.exec(line)
  if (!found) return [`not a sample: ${line}`]
  const [, name = '', labels = ''] = found
  const problems: string[] = []
  const stem = name.replace(/_(bucket|sum|count)$/, '')
  const family = types.get(stem) === 'histogram' ? stem : name
  if (!help.has(family)) problems.push(`${name}: no HELP`)
  if (!types.has(family)) problems.push(`${name}: no TYPE`)
  if (types.get(family) === 'counter' && !family.endsWith('_total')) problems.push(`${name}: a counter must end in _total`)
  if (seen.has(name + labels)) problems.push(`${name}${labels}: twice`)
  seen.add(name + labels)
  return problems
}
