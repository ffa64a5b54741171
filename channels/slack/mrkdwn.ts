/**
 * How Slack writes: mrkdwn (https://docs.slack.dev/messaging/formatting-message-text). `& < >` are escaped everywhere, so nothing
 * that is said can form `<!channel>`, a mention or a link. Marks (`* _ ~`) have no escape there; alone, or inside words, they stay as they are.
 */
import type { Dialect } from '#contract'

const escape = (plain: string): string => plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** A mark ends with its line. */
const marked = (inner: string, mark: string): string =>
  inner
    .split('\n')
    .map((line) => (line.trim() === '' ? line : line.replace(/^(\s*)(.*?)(\s*)$/, `$1${mark}$2${mark}$3`)))
    .join('\n')

export const mrkdwn: Dialect = {
  text: escape,
  strong: (inner) => marked(inner, '*'),
  emphasis: (inner) => marked(inner, '_'),
  strike: (inner) => marked(inner, '~'),
  // There is no way to write a backtick inside of code.
  code: (plain) => (plain.includes('`') || plain.trim() === '' ? escape(plain) : `\`${escape(plain).replaceAll('\n', ' ')}\``),
  // A zero-width space keeps a fence within from ending the block. Slack knows no languages.
  fence: (plain) => `\`\`\`\n${escape(plain).replaceAll('```', '``\u200B`')}\n\`\`\``,
  link,
  heading: (inner) => (/^\*[^*]*\*$/.test(inner) ? inner : marked(inner, '*')),
  quote: (inner) =>
    inner
      .split('\n')
      .map((line) => `> ${line}`)
      .join('\n'),
  item: (inner, marker) => `${marker} ${inner}`,
}

function link(inner: string, url: string): string {
  const label = inner.replaceAll('\n', ' ')
  // Only what leads out: `<!…>`, `<@…>` and `<#…>` have no scheme.
  if (!/^(https?|mailto|tel):/i.test(url)) return inner === escape(url) ? inner : `${inner} (${escape(url)})`
  const address = escape(url.replaceAll(/[<>|\s]/g, (char) => encodeURIComponent(char)))
  if (label === '' || label === address) return `<${address}>`
  // A picture that is a link has one inside already.
  return /[<>]/.test(label) ? `${label} (<${address}>)` : `<${address}|${label}>`
}
