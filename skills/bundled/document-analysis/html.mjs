/** HTML as a browser would read it, by parse5: what is shown as text, and what structures it. */
import { parse } from 'parse5'

const SILENT = new Set(['script', 'style', 'template', 'noscript', 'head', 'svg', 'iframe', 'object'])
const BLOCKS = new Set(
  'address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table tr ul'.split(
    ' ',
  ),
)

export function readHtml(html) {
  const found = { title: null, headings: [], links: [] }
  const pieces = []
  walk(parse(html), found, pieces)
  return { ...found, text: pieces.join(''), title: found.title ?? found.headings[0]?.text ?? null }
}

/** With a list of its own, because documents may be nested deeper than a stack is. */
function walk(document, found, pieces) {
  const todo = [{ node: document, isEnd: false }]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const { node, isEnd } = next
    if (node.nodeName === '#text') pieces.push(node.value)
    if (node.nodeName === 'title' && found.title === null && !isEnd) found.title = squeeze(textOf(node)) || null
    if (SILENT.has(node.nodeName) && node.nodeName !== 'head') continue
    if (node.nodeName === 'head') {
      const title = node.childNodes.find(({ nodeName }) => nodeName === 'title')
      if (title !== undefined) found.title = squeeze(textOf(title)) || null
      continue
    }
    if (BLOCKS.has(node.nodeName)) pieces.push('\n')
    if (node.nodeName === 'td' || node.nodeName === 'th') pieces.push(' ')
    if (isEnd) continue
    note(node, found)
    if (node.childNodes === undefined) continue
    todo.push({ node, isEnd: true })
    for (const child of node.childNodes.toReversed()) todo.push({ node: child, isEnd: false })
  }
}

function note(node, { headings, links }) {
  const level = /^h([1-6])$/.exec(node.nodeName)?.[1]
  if (level !== undefined) headings.push({ level: Number(level), text: squeeze(textOf(node)) })
  if (node.nodeName !== 'a') return
  const url = node.attrs.find(({ name }) => name === 'href')?.value.trim()
  if (url !== undefined && url !== '' && !url.startsWith('#')) links.push({ text: squeeze(textOf(node)), url })
}

function textOf(node) {
  const pieces = []
  const todo = [node]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (next.nodeName === '#text') pieces.push(next.value)
    else if (!SILENT.has(next.nodeName)) todo.push(...(next.childNodes ?? []).toReversed())
  }
  return pieces.join('')
}

const squeeze = (text) => text.replace(/\s+/g, ' ').trim()
