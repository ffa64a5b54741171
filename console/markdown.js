// @ts-check
/**
 * Shows an allow-list of Markdown as DOM nodes: paragraphs, lists, fenced code and headings as bold lines. Everything else
 * stays the text that it is. Time grows in proportion to the text, whatever the text; what is inside a line is for
 * `inline.js`.
 */
import { element } from './element.js'
import { inline } from './inline.js'

/**
 * @typedef {{ depth: number, ordered: number | null, text: string }} Item `ordered`: the number it begins with
 * @typedef {{ kind: 'text' | 'heading', text: string } | { kind: 'code', text: string, language: string } | { kind: 'list', items: readonly Item[] }} Block
 */

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)/
const HEADING = /^ {0,3}#{1,6}[ \t]+(.*)$/
const ITEM = /^([ \t]*)(?:[-*+]|(\d{1,9})[.)])[ \t]+(\S.*)$/
const MAX_LIST_DEPTH = 5

/** What each shown node came from, so that text that grows keeps the nodes of its finished part. @type {WeakMap<Node, string>} */
const sources = new WeakMap()

/**
 * Makes `container` show `text`, keeping what is already right.
 * @param {Element} container
 * @param {string} text
 */
export function showMarkdown(container, text) {
  let shown = container.firstChild
  for (const block of readBlocks(text)) {
    const source = JSON.stringify(block)
    if (shown && sources.get(shown) === source) {
      shown = shown.nextSibling
      continue
    }
    const node = draw(block)
    sources.set(node, source)
    if (shown) {
      const next = shown.nextSibling
      container.replaceChild(node, shown)
      shown = next
    } else container.append(node)
  }
  while (shown) {
    const next = shown.nextSibling
    shown.remove()
    shown = next
  }
}

/**
 * The words without the marks, as they are read aloud.
 * @param {string} text
 * @returns {string}
 */
export function spokenMarkdown(text) {
  const words = readBlocks(text).map((block) => {
    if (block.kind === 'code') return block.text
    const parts = block.kind === 'list' ? block.items.map((item) => item.text) : [block.text]
    return parts.map((part) => inline(part).textContent).join('\n')
  })
  return words.join('\n')
}

/**
 * @param {string} text
 * @returns {readonly Block[]}
 */
export function readBlocks(text) {
  /** @type {Block[]} */
  const blocks = []
  const lines = text.split(/\r\n|\n/)
  for (let at = 0; at < lines.length;) {
    const line = lines[at] ?? ''
    const fence = readFence(line)
    const heading = HEADING.exec(line)
    if (line.trim() === '') at++
    else if (fence) at = readCode(lines, at + 1, fence, blocks)
    else if (heading) {
      blocks.push({ kind: 'heading', text: heading[1] ?? '' })
      at++
    } else if (ITEM.test(line)) at = readList(lines, at, blocks)
    else at = readText(lines, at, blocks)
  }
  return blocks
}

/** What opens fenced code; three ticks that close on the same line are code inside a line. @param {string} line */
function readFence(line) {
  const fence = FENCE.exec(line)
  return fence && !(fence[1]?.startsWith('`') && line.includes('`', fence[0].length)) ? fence : null
}

/**
 * @param {readonly string[]} lines
 * @param {number} from
 * @param {RegExpExecArray} fence
 * @param {Block[]} blocks
 * @returns {number} the line to go on with
 */
function readCode(lines, from, fence, blocks) {
  const mark = fence[1] ?? '```'
  let at = from
  for (; at < lines.length; at++) {
    const line = (lines[at] ?? '').trim()
    if (line.length >= mark.length && line === mark.charAt(0).repeat(line.length)) break
  }
  blocks.push({ kind: 'code', text: lines.slice(from, at).join('\n'), language: fence[2] ?? '' })
  return at + 1
}

/** @param {readonly string[]} lines @param {number} from @param {Block[]} blocks @returns {number} */
function readList(lines, from, blocks) {
  /** @type {Item[]} */
  const items = []
  /** Indents of the levels that are open. @type {number[]} */
  const indents = []
  let at = from
  for (; at < lines.length; at++) {
    const line = lines[at] ?? ''
    const found = ITEM.exec(line)
    if (found) {
      const indent = (found[1] ?? '').replaceAll('\t', '    ').length
      while (indents.length > 0 && indent < (indents.at(-1) ?? 0)) indents.pop()
      if (indents.length === 0 || indent > (indents.at(-1) ?? 0) + 1) indents.push(indent)
      const depth = Math.min(indents.length, MAX_LIST_DEPTH) - 1
      items.push({ depth, ordered: found[2] === undefined ? null : Number(found[2]), text: found[3] ?? '' })
      continue
    }
    const last = items.at(-1)
    if (line.trim() === '' || !/^[ \t]/.test(line) || readFence(line) || !last) break
    last.text += `\n${line.trim()}`
  }
  blocks.push({ kind: 'list', items })
  return at
}

/** @param {readonly string[]} lines @param {number} from @param {Block[]} blocks @returns {number} */
function readText(lines, from, blocks) {
  let at = from + 1
  for (; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (line.trim() === '' || readFence(line) || HEADING.test(line) || ITEM.test(line)) break
  }
  blocks.push({ kind: 'text', text: lines.slice(from, at).join('\n') })
  return at
}

/** @param {Block} block @returns {Element} */
function draw(block) {
  switch (block.kind) {
    case 'text':
      return element('p', { dir: 'auto' }, inline(block.text))
    case 'heading':
      return element('p', { dir: 'auto', class: 'heading' }, element('strong', {}, inline(block.text)))
    case 'code':
      return drawCode(block.text, block.language)
    case 'list':
      return drawList(block.items)
  }
}

/** @param {string} text @param {string} language */
function drawCode(text, language) {
  const copy = element('button', { type: 'button', class: 'copy' }, 'Copy')
  copy.addEventListener('click', () => {
    navigator.clipboard.writeText(text).then(
      () => void (copy.textContent = 'Copied'),
      () => void (copy.textContent = 'Not allowed'),
    )
  })
  const head = element('div', { class: 'code-head' }, element('span', {}, language), copy)
  return element('div', { class: 'code', dir: 'ltr' }, head, element('pre', {}, element('code', {}, text)))
}

/** @param {readonly Item[]} items */
function drawList(items) {
  const root = listFor(items[0])
  /** The list open at each depth. @type {HTMLElement[]} */
  const open = [root]
  for (const item of items) {
    const depth = Math.min(item.depth, open.length)
    open.length = Math.min(open.length, depth + 1)
    let list = open[depth]
    if (!list) {
      list = listFor(item)
      const parent = open[depth - 1]?.lastElementChild ?? root
      parent.append(list)
      open.push(list)
    }
    list.append(element('li', { dir: 'auto' }, inline(item.text)))
  }
  return root
}

/** @param {Item | undefined} item */
const listFor = (item) => (item?.ordered == null ? element('ul') : element('ol', { start: String(item.ordered) }))
