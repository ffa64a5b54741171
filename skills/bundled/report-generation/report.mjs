/** Makes a report out of Markdown, as HTML or as PDF. */
import { pageOf } from './html.mjs'
import { lexer } from './marked.mjs'

/** Base64 makes four letters of three bytes, and an output has 1 MiB. */
const MAX_BYTES = 760_000

export async function run({ markdown, format, title, author = '', paper = 'a4' }) {
  const tokens = lexer(markdown)
  const heading = tokens.find(({ type }) => type === 'heading')
  const options = { title: title ?? heading?.text ?? 'Report', author, paper }
  const made =
    format === 'html'
      ? { bytes: Buffer.from(pageOf(tokens, options)), pages: null, warnings: [] }
      : await (await import('./pdf.mjs')).pdfOf(tokens, options)
  if (made.bytes.length > MAX_BYTES) throw new Error(`the report has ${made.bytes.length} bytes; ${MAX_BYTES} can be handed back`)
  return {
    media_type: format === 'html' ? 'text/html; charset=utf-8' : 'application/pdf',
    base64: Buffer.from(made.bytes).toString('base64'),
    bytes: made.bytes.length,
    pages: made.pages,
    warnings: made.warnings,
  }
}
