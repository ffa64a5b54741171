// @ts-check
/**
 * Markdown inside a line: bold, italic, code and links to http, https and mailto. One pass over the text; a mark without
 * its other half is remembered as such and costs nothing the next time, so hostile text is no slower than plain text.
 */
import { element } from './element.js'

const SPECIAL = /[\\`*_[]|https?:\/\/|mailto:/gi
const ESCAPABLE = /[!-/:-@[-`{-~]/
const WORD = /[\p{L}\p{N}_]/u
/** `7*7*7` is no emphasis, but scripts without spaces have it inside a word. */
const ASCII_WORD = /[0-9A-Za-z]/
const MAX_NESTING = 6
const MAX_TICKS = 16
const MAX_LABEL = 1_000
const MAX_URL = 2_048
const MAX_SHOWN_TARGET = 60

/**
 * @typedef {{ node: Node, end: number }} Match
 * @typedef {{ nesting: number, isLink: boolean }} Inside where the text stands; a link holds no other link
 */

/**
 * @param {string} text
 * @param {Inside} [inside]
 * @returns {DocumentFragment}
 */
export function inline(text, inside = { nesting: 0, isLink: false }) {
  const out = document.createDocumentFragment()
  if (inside.nesting > MAX_NESTING) {
    out.append(text)
    return out
  }
  /** Marks that have no other half in the rest of this text. @type {Set<string>} */
  const hopeless = new Set()
  let plain = ''
  let at = 0
  for (;;) {
    SPECIAL.lastIndex = at
    const special = SPECIAL.exec(text)
    if (!special) break
    plain += text.slice(at, special.index)
    at = special.index
    const next = text.charAt(at + 1)
    if (special[0] === '\\' && ESCAPABLE.test(next)) {
      plain += next
      at += 2
      continue
    }
    const match = read(text, at, special[0], inside, hopeless)
    if (!match) {
      const run = special[0] === '`' || special[0] === '*' ? runAt(text, at, special[0]) : special[0].length
      plain += text.slice(at, at + run)
      at += run
      continue
    }
    if (plain !== '') out.append(plain)
    plain = ''
    out.append(match.node)
    at = match.end
  }
  plain += text.slice(at)
  if (plain !== '') out.append(plain)
  return out
}

/**
 * @param {string} text
 * @param {number} at
 * @param {string} special
 * @param {Inside} inside
 * @param {Set<string>} hopeless
 * @returns {Match | null}
 */
function read(text, at, special, inside, hopeless) {
  switch (special) {
    case '\\':
      return null
    case '`':
      return readCode(text, at, hopeless)
    case '*':
      return readStrong(text, at, inside, hopeless) ?? readEmphasis(text, at, '*', inside, hopeless)
    case '_':
      return readEmphasis(text, at, '_', inside, hopeless)
    case '[':
      return inside.isLink ? null : readLink(text, at, inside)
    default:
      return inside.isLink ? null : readAddress(text, at)
  }
}

/** @param {string} text @param {number} at @param {Set<string>} hopeless @returns {Match | null} */
function readCode(text, at, hopeless) {
  const mark = '`'.repeat(runAt(text, at, '`'))
  if (mark.length > MAX_TICKS || hopeless.has(mark)) return null
  for (let from = at + mark.length; ;) {
    const close = text.indexOf(mark, from)
    if (close < 0) break
    const run = runAt(text, close, '`')
    if (run === mark.length) {
      const code = text.slice(at + mark.length, close)
      const isPadded = code.startsWith(' ') && code.endsWith(' ') && code.trim() !== ''
      const shown = isPadded ? code.slice(1, -1) : code
      return { node: element('code', {}, shown), end: close + run }
    }
    from = close + run
  }
  hopeless.add(mark)
  return null
}

/** @param {string} text @param {number} at @param {Inside} inside @param {Set<string>} hopeless @returns {Match | null} */
function readStrong(text, at, inside, hopeless) {
  if (!text.startsWith('**', at) || isSpace(text.charAt(at + 2)) || hopeless.has('**')) return null
  for (let from = at + 3; ; from++) {
    from = text.indexOf('**', from)
    if (from < 0) break
    if (isSpace(text.charAt(from - 1))) continue
    // `***` closes the inner emphasis first.
    const close = text.charAt(from + 2) === '*' ? from + 1 : from
    return { node: element('strong', {}, inline(text.slice(at + 2, close), deeper(inside))), end: close + 2 }
  }
  hopeless.add('**')
  return null
}

/** @param {string} text @param {number} at @param {'*' | '_'} mark @param {Inside} inside @param {Set<string>} hopeless @returns {Match | null} */
function readEmphasis(text, at, mark, inside, hopeless) {
  const first = text.charAt(at + 1)
  if (first === mark || isSpace(first) || hopeless.has(mark)) return null
  const word = mark === '_' ? WORD : ASCII_WORD
  if (word.test(text.charAt(at - 1))) return null
  for (let close = text.indexOf(mark, at + 2); close >= 0; close = text.indexOf(mark, close + 1)) {
    const run = runAt(text, close, mark)
    const isClosing = !isSpace(text.charAt(close - 1)) && run === 1 && !word.test(text.charAt(close + 1))
    if (isClosing) return { node: element('em', {}, inline(text.slice(at + 1, close), deeper(inside))), end: close + 1 }
    close += run - 1
  }
  hopeless.add(mark)
  return null
}

/** `[label](address)`. @param {string} text @param {number} at @param {Inside} inside @returns {Match | null} */
function readLink(text, at, inside) {
  const head = text.slice(at, at + MAX_LABEL + MAX_URL)
  const found = /^\[([^[\]\n]+)\]\(\s*<?((?:[^\s()<>[]|\([^\s()<>[]*\))+)>?\s*\)/.exec(head)
  const label = found?.[1] ?? ''
  const url = safeUrl(found?.[2] ?? '')
  if (!found || !url) return null
  const shown = targetOf(url)
  const link = anchor(url)
  link.append(inline(label, { nesting: inside.nesting + 1, isLink: true }))
  const out = document.createDocumentFragment()
  out.append(link)
  if (label !== shown && label !== url.href) out.append(element('span', { class: 'target' }, ` (${shown})`))
  return { node: out, end: at + found[0].length }
}

/** An address that stands in the text as itself. @param {string} text @param {number} at @returns {Match | null} */
function readAddress(text, at) {
  if (WORD.test(text.charAt(at - 1))) return null
  const found = /^[^\s<>"'`]+/.exec(text.slice(at, at + MAX_URL))
  let address = (found?.[0] ?? '').replace(/[.,;:!?*_\]]+$/, '')
  if (address.endsWith(')') && !address.includes('(')) address = address.replace(/\)+$/, '')
  const url = safeUrl(address)
  if (!url) return address === '' ? null : { node: document.createTextNode(address), end: at + address.length }
  const link = anchor(url)
  link.append(address)
  return { node: link, end: at + address.length }
}

/** @param {Inside} inside @returns {Inside} */
const deeper = ({ nesting, isLink }) => ({ nesting: nesting + 1, isLink })

/** @param {URL} url */
const anchor = (url) => element('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer' })

/**
 * Only absolute addresses of three kinds; all others stay text.
 * @param {string} address
 * @returns {URL | null}
 */
export function safeUrl(address) {
  if (!/^(https?:\/\/|mailto:)[^\s]/i.test(address) || !URL.canParse(address)) return null
  const url = new URL(address)
  return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url : null
}

/** Where a link really goes, short enough to read. @param {URL} url */
function targetOf(url) {
  const target = url.protocol === 'mailto:' ? url.pathname : `${url.host}${url.pathname === '/' ? '' : url.pathname}`
  return target.length > MAX_SHOWN_TARGET ? `${target.slice(0, MAX_SHOWN_TARGET - 1)}…` : target
}

/** How often `mark` stands there in a row. @param {string} text @param {number} at @param {string} mark */
function runAt(text, at, mark) {
  let end = at
  while (text.charAt(end) === mark) end++
  return end - at
}

/** @param {string} char */
const isSpace = (char) => char === '' || /\s/.test(char)
