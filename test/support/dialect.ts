/** Dialects of no platform: one with tags that a test can parse, one of lines and signs without escapes, one between the two. */
import type { Dialect } from '#contract'

const escaped = (plain: string): string =>
  plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const quoted = (inner: string): string => inner.replaceAll(/^/gm, '> ')
const byLine = (inner: string, sign: string): string => inner.replaceAll(/^(\s*)(\S(?:.*\S)?)/gm, `$1${sign}$2${sign}`)

export const tags: Dialect = {
  text: escaped,
  strong: (inner) => `<b>${inner}</b>`,
  emphasis: (inner) => `<i>${inner}</i>`,
  strike: (inner) => `<s>${inner}</s>`,
  code: (plain) => `<code>${escaped(plain)}</code>`,
  fence: (plain, language) => `<pre${language === null ? '' : ` class="${escaped(language)}"`}>${escaped(plain)}</pre>`,
  link: (inner, url) => `<a href="${escaped(url)}">${inner}</a>`,
  heading: (inner, level) => `<h${level}>${inner}</h${level}>`,
  quote: (inner) => `<q>${inner}</q>`,
  item: (inner, marker) => `${marker} ${inner}`,
}

export const stars: Dialect = {
  text: (plain) => plain,
  strong: (inner) => byLine(inner, '*'),
  emphasis: (inner) => byLine(inner, '_'),
  strike: (inner) => byLine(inner, '~'),
  code: (plain) => `\`${plain}\``,
  fence: (plain) => `\`\`\`\n${plain}\n\`\`\``,
  link: (inner, url) => (inner === url ? url : `${inner} (${url})`),
  heading: (inner) => byLine(inner, '*'),
  quote: quoted,
  item: (inner, marker) => `${marker === '•' ? '-' : marker} ${inner}`,
}

export const angles: Dialect = {
  ...stars,
  text: escaped,
  code: (plain) => `\`${escaped(plain)}\``,
  fence: (plain) => `\`\`\`\n${escaped(plain)}\n\`\`\``,
  link: (inner, url) => `<${escaped(url)}|${inner}>`,
}

/** What a reader of `tags` sees. Throws where a tag is not closed, is closed out of turn, or where a sign stands alone. */
export function readTags(text: string): string {
  const open: string[] = []
  const words = text.replaceAll(
    /<(\/?)([a-z]+\d?)((?: [a-z]+="[^"<>]*")?)>|[<>]|&(?!(?:amp|lt|gt|quot);)/g,
    (found, close: string, name: string) => {
      if (name === undefined) throw new Error(`A sign stands alone: ${found}`)
      if (close === '') open.push(name)
      else if (open.pop() !== name) throw new Error(`${found} closes nothing in ${text}`)
      return ''
    },
  )
  if (open.length > 0) throw new Error(`<${open.join('> <')}> is open at the end of ${text}`)
  return words.replaceAll('&quot;', '"').replaceAll('&gt;', '>').replaceAll('&lt;', '<').replaceAll('&amp;', '&')
}
