/** A page of HTML out of Markdown's tokens: raw HTML is shown as text, links lead to http, https and mail only, nothing is loaded. */
import { Parser, Renderer } from './marked.mjs'

const STYLE =
  'body{font:16px/1.55 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}h1,h2,h3{line-height:1.25}' +
  'pre{background:#f4f4f4;padding:.75rem;overflow:auto}code{background:#f4f4f4}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3rem .6rem}' +
  'blockquote{border-left:3px solid #ccc;margin-left:0;padding-left:1rem;color:#555}'

export function pageOf(tokens, { title, author }) {
  const body = new Parser({ renderer: new Safe() }).parse(tokens)
  const by = author === '' ? '' : `<meta name="author" content="${escape(author)}">`
  return `<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(title)}</title>${by}
<style>${STYLE}</style>
</head>
<body>
${body}</body>
</html>
`
}

class Safe extends Renderer {
  html({ text }) {
    return escape(text)
  }
  link({ href, title, tokens }) {
    const inner = this.parser.parseInline(tokens)
    if (!isSafe(href)) return inner
    return `<a href="${escape(href)}"${title ? ` title="${escape(title)}"` : ''} rel="noopener noreferrer">${inner}</a>`
  }
  image({ href, text }) {
    return isSafe(href) ? `<a href="${escape(href)}" rel="noopener noreferrer">${escape(text || href)}</a>` : escape(text)
  }
}

const isSafe = (href) => /^(?:https?:\/\/|mailto:)/i.test(href)
const escape = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.codePointAt(0)};`)
