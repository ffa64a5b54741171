/**
 * CommonMark in the HTML of the Bot API: `<`, `>` and `&` are escaped and nothing else, in attributes the double quote too
 * (https://core.telegram.org/bots/api#html-style). What Telegram has no mark for is written in words.
 */
import type { Dialect } from '#contract'

export const dialect: Dialect = {
  text: escape,
  strong: (inner) => `<b>${inner}</b>`,
  emphasis: (inner) => `<i>${inner}</i>`,
  strike: (inner) => `<s>${inner}</s>`,
  code: (plain) => `<code>${escape(plain)}</code>`,
  fence: (plain, language) =>
    language === null
      ? `<pre>${escape(plain)}</pre>`
      : `<pre><code class="language-${escapeAttribute(language)}">${escape(plain)}</code></pre>`,
  link,
  heading: (inner) => `<b>${inner}</b>`,
  // Quotes cannot be nested there.
  quote: (inner) => `<blockquote>${inner.replaceAll(/<\/?blockquote>/g, '')}</blockquote>`,
  item: (inner, marker) => `${escape(marker)} ${inner}`,
}

function escape(plain: string): string {
  return plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

const escapeAttribute = (plain: string): string => escape(plain).replaceAll('"', '&quot;')

/** Of other links Telegram shows the words and drops the address, and `tg://user` would call somebody. */
function link(inner: string, url: string): string {
  if (/^https?:\/\//i.test(url)) return `<a href="${escapeAttribute(url)}">${inner}</a>`
  const address = escape(url)
  return inner === address || `mailto:${inner}` === address ? inner : `${inner} (${address})`
}
