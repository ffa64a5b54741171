/** Header fields as a proxy passes them on (RFC 9110 §7.6.1): without those of one hop, framed anew by whoever sends them. */

const HOP = new Set([
  'connection',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** `raw` is name, value, name, value, as Node gives it. What `Connection` names goes too, but never how long the body is. Names in lower case. */
export function endToEnd(raw: readonly string[]): string[] {
  const fields = fieldsOf(raw)
  const isChunked = fields.some(([name]) => name === 'transfer-encoding')
  const named = new Set(
    fields
      .filter(([name]) => name === 'connection')
      .flatMap(([, value]) =>
        value
          .toLowerCase()
          .split(',')
          .map((word) => word.trim()),
      ),
  )
  return fields
    .filter(([name]) => {
      if (name === 'content-length') return !isChunked
      return !HOP.has(name) && !named.has(name)
    })
    .flat()
}

/** Names in lower case. */
export function fieldsOf(raw: readonly string[]): readonly (readonly [name: string, value: string])[] {
  const all: (readonly [string, string])[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) all.push([(raw[at] ?? '').toLowerCase(), raw[at + 1] ?? ''])
  return all
}
