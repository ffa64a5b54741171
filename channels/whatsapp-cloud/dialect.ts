/**
 * WhatsApp's markup. There is no escaping in it: a zero-width space beside a mark that words contain keeps it from pairing up, and
 * readers do not see it.
 */
import type { Dialect } from '#contract'

const UNSEEN = '\u200B'

export const whatsappMarkup: Dialect = {
  text: (plain) => plain.replaceAll(/[*_~`]/g, (mark) => `${UNSEEN}${mark}${UNSEEN}`),
  strong: (inner) => `*${inner}*`,
  emphasis: (inner) => `_${inner}_`,
  strike: (inner) => `~${inner}~`,
  code: (plain) => (plain.includes('`') ? plain : `\`${plain}\``),
  fence: (plain) => `\`\`\`\n${plain}\n\`\`\``,
  link: (inner, url) => (inner === url || inner === '' ? url : `${inner} (${url})`),
  heading: (inner) => `*${inner}*`,
  quote: (inner) => inner.replaceAll(/^/gm, '> '),
  item: (inner, marker) => `${marker === '•' ? '-' : marker} ${inner}`,
}
