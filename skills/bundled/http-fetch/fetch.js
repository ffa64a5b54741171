/** One GET or HEAD. Which hosts may be reached is the gate's business, not this code's. */

const DEFAULT_CHARS = 50_000
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

export async function run({ url, method = 'GET', headers = {}, as = 'raw', max_chars: maxChars = DEFAULT_CHARS }, ctx) {
  const answer = await ctx.fetch(url, { method, headers })
  const isHtml = /^(?:text\/html|application\/xhtml\+xml)/i.test(answer.headers['content-type'] ?? '')
  const text = as === 'text' && isHtml ? plain(answer.text) : answer.text
  return { status: answer.status, headers: answer.headers, text: text.slice(0, maxChars), is_truncated: text.length > maxChars }
}

/** Good enough to be read by a model; `document-analysis` parses. */
function plain(html) {
  return html
    .replace(/<!--[^]*?-->|<(script|style|template|noscript)\b[^]*?<\/\1\s*>/gi, ' ')
    .replace(/<(?:br|hr|\/p|\/div|\/li|\/tr|\/h[1-6])\b[^>]*>/gi, '\n')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));/gi, (whole, dec, hex, name) => {
      if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? whole
      const code = dec === undefined ? Number.parseInt(hex, 16) : Number(dec)
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole
    })
    .replace(/[ \t]+/g, ' ')
    .replace(/ ?\n ?/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}
