/**
 * The HTML that the Bot API takes as parse_mode, read as strictly as the real server reads it: the same tags, the same
 * words when it refuses. Offsets in messages are of UTF-8 bytes, those of entities UTF-16 units. Knows nothing of ours.
 */
export interface Entity {
  readonly type: string
  readonly offset: number
  readonly length: number
  readonly url?: string
  readonly language?: string
}

export type Markup =
  | { readonly ok: true; readonly text: string; readonly entities: readonly Entity[] }
  | { readonly ok: false; readonly why: string }

/** Tag → type of its entity. */
const TAGS: { readonly [tag: string]: string } = {
  b: 'bold',
  strong: 'bold',
  i: 'italic',
  em: 'italic',
  u: 'underline',
  ins: 'underline',
  s: 'strikethrough',
  strike: 'strikethrough',
  del: 'strikethrough',
  'tg-spoiler': 'spoiler',
  span: 'spoiler',
  'tg-emoji': 'custom_emoji',
  a: 'text_link',
  code: 'code',
  pre: 'pre',
  blockquote: 'blockquote',
}

interface Open {
  readonly tag: string
  readonly offset: number
  readonly url: string | undefined
  readonly language: string | undefined
}

export function parseHtml(source: string): Markup {
  const open: Open[] = []
  const entities: Entity[] = []
  let text = ''
  let at = 0
  while (at < source.length) {
    const character = source[at]
    if (character === '&') {
      const entity = /^&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|(lt|gt|amp|quot));/i.exec(source.slice(at, at + 12))
      text += entity === null ? '&' : decoded(entity)
      at += entity === null ? 1 : entity[0].length
      continue
    }
    if (character !== '<') {
      text += character
      at++
      continue
    }
    const place = Buffer.byteLength(source.slice(0, at))
    const end = source.indexOf('>', at)
    if (source[at + 1] === '/') {
      if (end < 0) return refused(`Unclosed end tag at byte offset ${place}`)
      const tag = source
        .slice(at + 2, end)
        .trim()
        .toLowerCase()
      const last = open.pop()
      if (last === undefined) return refused(`Unexpected end tag at byte offset ${place}`)
      if (tag !== '' && tag !== last.tag) {
        return refused(`Unmatched end tag at byte offset ${place}, expected "</${last.tag}>", found "</${tag}>"`)
      }
      if (text.length > last.offset) entities.push(entityOf(last, text.length))
      at = end + 1
      continue
    }
    const tag = /^[^\s>/]*/.exec(source.slice(at + 1))?.[0].toLowerCase() ?? ''
    if (end < 0) return refused(`Unclosed start tag at byte offset ${place}`)
    const attributes = source.slice(at + 1 + tag.length, end)
    const isSpoiler = tag !== 'span' || /class\s*=\s*["']?tg-spoiler/.test(attributes)
    if (TAGS[tag] === undefined) return refused(`Unsupported start tag "${tag}" at byte offset ${place}`)
    if (!isSpoiler) return refused(`Tag "span" must have class "tg-spoiler" at byte offset ${place}`)
    open.push({ tag, offset: text.length, url: attribute(attributes, 'href'), language: languageOf(attributes) })
    at = end + 1
  }
  const last = open.pop()
  if (last !== undefined) return refused(`Can't find end tag corresponding to start tag "${last.tag}"`)
  return { ok: true, text, entities }
}

const refused = (why: string): Markup => ({ ok: false, why: `Bad Request: can't parse entities: ${why}` })

function decoded([whole, hex, decimal, name]: RegExpExecArray): string {
  if (name !== undefined) return { lt: '<', gt: '>', amp: '&', quot: '"' }[name.toLowerCase()] ?? whole
  const point = hex === undefined ? Number.parseInt(decimal ?? '', 10) : Number.parseInt(hex, 16)
  return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole
}

/** Attributes stand in double quotes, single quotes or none. */
function attribute(attributes: string, name: string): string | undefined {
  const found = new RegExp(`\\b${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`).exec(attributes)
  const value = found?.[1] ?? found?.[2] ?? found?.[3]
  return value?.replaceAll(/&(lt|gt|amp|quot);/g, (_, entity: string) => ({ lt: '<', gt: '>', amp: '&', quot: '"' })[entity] ?? '')
}

const languageOf = (attributes: string): string | undefined => /^language-(.+)$/.exec(attribute(attributes, 'class') ?? '')?.[1]

function entityOf({ tag, offset, url, language }: Open, end: number): Entity {
  return {
    type: TAGS[tag] ?? tag,
    offset,
    length: end - offset,
    ...(url === undefined ? {} : { url }),
    ...(language === undefined ? {} : { language }),
  }
}
