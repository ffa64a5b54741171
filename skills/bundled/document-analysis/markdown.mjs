/** Markdown by marked's lexer: its words without its signs. */
import { lexer } from './marked.mjs'

export function readMarkdown(markdown) {
  const found = { headings: [], links: [] }
  const text = lexer(withoutFrontMatter(markdown))
    .map((token) => blockOf(token, found))
    .join('')
  return { ...found, text, title: found.headings.find(({ level }) => level === 1)?.text ?? found.headings[0]?.text ?? null }
}

const withoutFrontMatter = (text) => text.replace(/^---\n[^]*?\n---\n/, '')

function blockOf(token, found) {
  switch (token.type) {
    case 'heading': {
      const text = inline(token.tokens, found)
      found.headings.push({ level: token.depth, text })
      return `${text}\n\n`
    }
    case 'paragraph':
    case 'text':
      return `${token.tokens === undefined ? token.text : inline(token.tokens, found)}\n\n`
    case 'list':
      return `${token.items
        .map(
          (item) =>
            `- ${item.tokens
              .map((each) => blockOf(each, found))
              .join('')
              .trim()}`,
        )
        .join('\n')}\n\n`
    case 'blockquote':
      return token.tokens.map((each) => blockOf(each, found)).join('')
    case 'code':
      return `${token.text}\n\n`
    case 'table':
      return `${[token.header, ...token.rows].map((row) => row.map((cell) => inline(cell.tokens, found)).join(' | ')).join('\n')}\n\n`
    default:
      return ''
  }
}

function inline(tokens, found) {
  return tokens
    .map((token) => {
      if (token.type === 'link') found.links.push({ text: inline(token.tokens, { links: [] }), url: token.href })
      if (token.type === 'br') return '\n'
      if (token.type === 'html') return ''
      if (token.type === 'checkbox') return ''
      return token.tokens === undefined ? decode(token.text ?? '') : inline(token.tokens, found)
    })
    .join('')
}

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", nbsp: ' ' }
const decode = (text) => text.replace(/&(amp|lt|gt|quot|#39|nbsp);/g, (_, name) => ENTITIES[name])
