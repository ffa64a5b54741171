/**
 * Markup of stars and underscores that knows no escape: `*strong*`, `_emphasis_`, `~strike~`, backticks, `>`. Words go as they
 * are: a pair of stars in them may show as bold, which is a smaller harm than invisible characters in what people copy.
 */
import type { Dialect } from './dialect.ts'

export const starDialect: Dialect = {
  text: (plain) => plain,
  strong: (inner) => marked(inner, '*'),
  emphasis: (inner) => marked(inner, '_'),
  strike: (inner) => marked(inner, '~'),
  code: (plain) => (/[`\n]/.test(plain) ? block(plain) : `\`${plain}\``),
  fence: (plain) => block(`\n${plain}\n`),
  link: (inner, url) => (inner === url || inner === '' ? url : `${inner} (${url})`),
  heading: (inner) => (inner.includes('*') ? inner : marked(inner, '*')),
  quote: (inner) => inner.replace(/^/gm, '> '),
  item: (inner, marker) => `${marker} ${inner}`,
}

/** A mark holds within one line, and only right beside a word. */
const marked = (inner: string, sign: string): string => inner.replace(/^(\s*)(\S(?:.*\S)?)(\s*)$/gm, `$1${sign}$2${sign}$3`)

/** Three backticks inside would end it. */
const block = (plain: string): string => `\`\`\`${plain.replaceAll('```', "'''")}\`\`\``
