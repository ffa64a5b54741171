/** Reads a document: which kind it is, then the reader of that kind, then what all kinds have in common. */
import { readHtml } from './html.mjs'
import { guessLanguage } from './language.mjs'
import { readMarkdown } from './markdown.mjs'

const DEFAULT_CHARS = 100_000
const MAX_LISTED = 500

export async function run({ text, base64, media_type: mediaType, max_chars: maxChars = DEFAULT_CHARS }) {
  const bytes = base64 === undefined ? null : Buffer.from(base64, 'base64')
  const kind = kindOf(mediaType, bytes, text)
  const found = await READERS[kind](text ?? bytes.toString(), bytes)
  const whole = tidy(found.text)
  return {
    kind,
    title: found.title,
    text: whole.slice(0, maxChars),
    is_truncated: whole.length > maxChars,
    headings: found.headings.slice(0, MAX_LISTED),
    links: found.links.slice(0, MAX_LISTED),
    words: countWords(whole),
    characters: whole.length,
    pages: found.pages ?? null,
    language: guessLanguage(whole),
  }
}

function kindOf(mediaType, bytes, text) {
  const named = (mediaType ?? '').split(';')[0].trim().toLowerCase()
  const known = {
    'text/html': 'html',
    'application/xhtml+xml': 'html',
    'text/markdown': 'markdown',
    'text/x-markdown': 'markdown',
    'application/pdf': 'pdf',
    'text/plain': 'text',
  }[named]
  if (named !== '' && known === undefined) throw new Error(`"${named}" is not read here; HTML, Markdown, PDF and plain text are`)
  if (known === 'pdf' && bytes === null) throw new Error('a PDF has to come as base64')
  if (known !== undefined) return known
  if (bytes?.subarray(0, 1024).includes('%PDF-')) return 'pdf'
  const start = (text ?? bytes.toString()).slice(0, 4096)
  if (/<!doctype html|<html\b|<body\b|<(?:p|div|h[1-6]|table|ul)\b[^>]*>/i.test(start)) return 'html'
  return /^#{1,6} |^\s*[-*] |\[[^\]]+\]\([^)]+\)|^```/m.test(start) ? 'markdown' : 'text'
}

const READERS = {
  html: readHtml,
  markdown: readMarkdown,
  text: (text) => ({ text, title: text.trim().split('\n')[0]?.trim().slice(0, 200) || null, headings: [], links: [] }),
  // Heavy, so only when there is one.
  pdf: async (_text, bytes) => (await import('./pdf.mjs')).readPdf(bytes),
}

const tidy = (text) =>
  text
    .replace(/\r\n?/g, '\n')
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n ?/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()

/** By Unicode, so also where words have no spaces between. */
function countWords(text) {
  let words = 0
  for (const { isWordLike } of new Intl.Segmenter('en', { granularity: 'word' }).segment(text)) if (isWordLike) words += 1
  return words
}
