/**
 * What people wrote, read back into plain words: the marks of `<…>` (mentions, channels, links, dates), then the three entities
 * (https://docs.slack.dev/messaging/formatting-message-text#retrieving-messages).
 */

/** A mention of this user anywhere in it. */
export const mentions = (text: string, user: string): boolean => new RegExp(`<@${user}(\\|[^>]*)?>`).test(text)

/** @param self our own user, whose mention at the beginning is only the address on the envelope */
export function readText(text: string, self: string): string {
  return text
    .replace(new RegExp(`^\\s*<@${self}(\\|[^>]*)?>[,:]?\\s*`), '')
    .replaceAll(/<([^<>]+)>/g, (_whole, mark: string) => readMark(mark))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}

function readMark(mark: string): string {
  const bar = mark.indexOf('|')
  const [target, label] = bar < 0 ? [mark, ''] : [mark.slice(0, bar), mark.slice(bar + 1)]
  switch (target.charAt(0)) {
    case '@':
    case '#':
      return label === '' ? target : `${target.charAt(0)}${label.replace(/^[@#]/, '')}`
    case '!':
      // Dates and user groups bring words for those who cannot read the rest.
      if (target.startsWith('!date^') || target.startsWith('!subteam^')) return label === '' ? target : label
      return `@${target.slice(1)}`
    default:
      return label === '' || isSame(target, label) ? target.replace(/^mailto:/, '') : `${label} (${target})`
  }
}

/** Slack writes `<http://example.org|example.org>` where somebody typed only the name. */
const isSame = (url: string, label: string): boolean =>
  url.replace(/^(https?:\/\/|mailto:|tel:)/, '').replace(/\/$/, '') === label.replace(/\/$/, '')
