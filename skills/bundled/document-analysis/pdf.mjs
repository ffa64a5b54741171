/** The text of a PDF, by unpdf. A PDF has no headings, only large letters, so none are told. */
import { extractLinks, extractText, getDocumentProxy, getMeta } from 'unpdf'

const MAX_PAGES = 500

export async function readPdf(bytes) {
  const document = await getDocumentProxy(new Uint8Array(bytes), { isEvalSupported: false, stopAtErrors: false })
  if (document.numPages > MAX_PAGES) throw new Error(`the PDF has ${document.numPages} pages; ${MAX_PAGES} are read at most`)
  const { totalPages, text } = await extractText(document, { mergePages: false })
  const { info } = await getMeta(document)
  const { links } = await extractLinks(document)
  const title = typeof info?.Title === 'string' && info.Title.trim() !== '' ? info.Title.trim() : null
  return { title, text: text.join('\n\n'), headings: [], links: links.map((url) => ({ text: '', url })), pages: totalPages }
}
