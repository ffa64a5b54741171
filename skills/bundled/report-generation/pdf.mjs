/** A PDF out of Markdown's tokens, with the fonts that every reader has: blocks one below the other, words wrapped, pages numbered. */
import { PDFDocument, rgb, StandardFonts } from './pdf-lib.mjs'

const PAPERS = { a4: [595.28, 841.89], letter: [612, 792] }
const MARGIN = 64
const MAX_PAGES = 300
const SIZES = [24, 18, 15, 13, 12, 12]
const TEXT = { size: 11, leading: 16 }
const CODE = { size: 9, leading: 12.5 }
const BLACK = rgb(0.1, 0.1, 0.1)
const GREY = rgb(0.45, 0.45, 0.45)
const LIGHT = rgb(0.8, 0.8, 0.8)

export async function pdfOf(tokens, { title, author, paper }) {
  const document = await PDFDocument.create()
  document.setTitle(title)
  if (author !== '') document.setAuthor(author)
  document.setCreationDate(new Date(0))
  document.setModificationDate(new Date(0))
  const [text, bold, italic, code] = await Promise.all(
    [StandardFonts.Helvetica, StandardFonts.HelveticaBold, StandardFonts.HelveticaOblique, StandardFonts.Courier].map((font) =>
      document.embedFont(font),
    ),
  )
  const layout = new Layout(document, { fonts: { text, bold, italic, code }, size: PAPERS[paper] })
  for (const token of tokens) layout.block(token, 0)
  layout.numberPages()
  const warnings =
    layout.lost.size === 0
      ? []
      : [`these letters are not in the fonts of a PDF and stand as "?": ${[...layout.lost].slice(0, 20).join(' ')}`]
  return { bytes: await document.save(), pages: document.getPageCount(), warnings }
}

class Layout {
  lost = new Set()
  #document
  #fonts
  #size
  #page
  #y = 0
  #letters

  constructor(document, { fonts, size }) {
    this.#document = document
    this.#fonts = fonts
    this.#letters = new Set(fonts.text.getCharacterSet())
    this.#size = size
    this.#turn()
  }

  block(token, indent) {
    switch (token.type) {
      case 'heading': {
        const size = SIZES[token.depth - 1]
        this.#space(size * 0.6)
        this.#words(runsOf(token.tokens, 'bold'), { indent, size, leading: size * 1.3 })
        this.#space(size * 0.35)
        break
      }
      case 'paragraph':
      case 'text':
        this.#words(token.tokens === undefined ? [{ font: 'text', text: token.text }] : runsOf(token.tokens), { indent, ...TEXT })
        this.#space(token.type === 'paragraph' ? 8 : 2)
        break
      case 'list':
        this.#list(token, indent)
        break
      case 'blockquote':
        for (const inner of token.tokens) this.block(inner, indent + 18)
        break
      case 'code':
        for (const line of token.text.split('\n'))
          this.#words([{ font: 'code', text: line.replaceAll('\t', '    ').replaceAll(' ', '\u00a0') }], { indent: indent + 10, ...CODE })
        this.#space(8)
        break
      case 'table':
        this.#table(token, indent)
        break
      case 'hr':
        this.#space(6)
        this.#rule(indent)
        this.#space(10)
        break
      case 'html':
        this.#words([{ font: 'code', text: token.text }], { indent, ...CODE })
        break
      default:
        break
    }
  }

  numberPages() {
    const pages = this.#document.getPages()
    pages.forEach((page, index) => {
      const text = `${index + 1} / ${pages.length}`
      const width = this.#fonts.text.widthOfTextAtSize(text, 9)
      page.drawText(text, { x: (this.#size[0] - width) / 2, y: MARGIN / 2, size: 9, font: this.#fonts.text, color: GREY })
    })
  }

  #list({ items, ordered, start }, indent) {
    items.forEach((item, index) => {
      const mark = item.task ? (item.checked ? '[x]' : '[ ]') : ordered ? `${Number(start || 1) + index}.` : '\u2022'
      this.#need(TEXT.leading)
      this.#draw(mark, { x: MARGIN + indent + 4, y: this.#y - TEXT.leading, font: 'text', size: TEXT.size })
      const top = this.#y
      for (const inner of item.tokens) this.block(inner, indent + 24)
      if (this.#y === top) this.#y -= TEXT.leading
    })
    this.#space(6)
  }

  #table({ header, rows }, indent) {
    const width = (this.#size[0] - 2 * MARGIN - indent) / header.length
    const row = (cells, font) => {
      const lines = cells.map((cell) => this.#wrap(runsOf(cell.tokens, font), { width: width - 8, size: 10 }))
      const height = Math.max(1, ...lines.map(({ length }) => length)) * 14
      this.#need(Math.min(height, 300))
      const most = Math.max(...lines.map(({ length }) => length))
      for (let at = 0; at < most; at++) {
        this.#need(14)
        this.#y -= 14
        lines.forEach((cell, column) => {
          if (cell[at] !== undefined) this.#line(cell[at], { x: MARGIN + indent + column * width, size: 10 })
        })
      }
      this.#space(4)
      this.#rule(indent)
      this.#space(2)
    }
    row(header, 'bold')
    for (const cells of rows) row(cells, 'text')
    this.#space(8)
  }

  #words(runs, { indent, size, leading }) {
    for (const line of this.#wrap(runs, { width: this.#size[0] - 2 * MARGIN - indent, size })) {
      this.#need(leading)
      this.#y -= leading
      this.#line(line, { x: MARGIN + indent, size })
    }
  }

  /** Runs of one font become lines of pieces that fit; a word that is wider than a line is broken. */
  #wrap(runs, { width, size }) {
    const lines = [[]]
    let left = width
    for (const { font, text } of runs) {
      for (const word of this.#known(text).split(/(\n| +)/)) {
        if (word === '') continue
        if (word === '\n') {
          lines.push([])
          left = width
          continue
        }
        for (const piece of this.#pieces(word, { font, size, width })) {
          const wide = this.#fonts[font].widthOfTextAtSize(piece, size)
          if (wide > left) {
            lines.push([])
            left = width
            if (piece.trim() === '') continue
          }
          lines.at(-1).push({ font, text: piece, wide })
          left -= wide
        }
      }
    }
    return lines
  }

  #pieces(word, { font, size, width }) {
    const measure = (text) => this.#fonts[font].widthOfTextAtSize(text, size)
    if (measure(word) <= width) return [word]
    const pieces = ['']
    for (const letter of word) {
      if (measure(pieces.at(-1) + letter) > width) pieces.push('')
      pieces[pieces.length - 1] += letter
    }
    return pieces
  }

  #line(pieces, { x, size }) {
    let at = x
    for (const { font, text, wide } of pieces) {
      this.#draw(text, { x: at, y: this.#y, font, size })
      at += wide
    }
  }

  #draw(text, { x, y, font, size }) {
    this.#page.drawText(text, { x, y, size, font: this.#fonts[font], color: BLACK })
  }

  #rule(indent) {
    this.#page.drawLine({
      start: { x: MARGIN + indent, y: this.#y },
      end: { x: this.#size[0] - MARGIN, y: this.#y },
      thickness: 0.5,
      color: LIGHT,
    })
  }

  #space(points) {
    this.#y -= points
  }

  #need(points) {
    if (this.#y - points < MARGIN) this.#turn()
  }

  #turn() {
    if (this.#document.getPageCount() >= MAX_PAGES) throw new Error(`the report has more than ${MAX_PAGES} pages`)
    this.#page = this.#document.addPage(this.#size)
    this.#y = this.#size[1] - MARGIN
  }

  /** The fonts know the letters of Windows-1252. */
  #known(text) {
    return Array.from(text, (letter) => {
      if (letter === '\n' || letter === '\u00a0' || this.#letters.has(letter.codePointAt(0))) return letter
      this.lost.add(letter)
      return '?'
    }).join('')
  }
}

/** Inline tokens as runs of one font each. */
function runsOf(tokens, font = 'text') {
  return tokens.flatMap((token) => {
    if (token.type === 'br') return [{ font, text: '\n' }]
    if (token.type === 'strong') return runsOf(token.tokens, 'bold')
    if (token.type === 'em') return runsOf(token.tokens, font === 'bold' ? 'bold' : 'italic')
    if (token.type === 'codespan') return [{ font: 'code', text: decode(token.text) }]
    if (token.type === 'link' && token.text !== token.href && /^https?:/.test(token.href))
      return [...runsOf(token.tokens, font), { font, text: ` (${token.href})` }]
    if (token.type === 'checkbox') return []
    if (token.type === 'image') return [{ font: 'italic', text: token.text }]
    return token.tokens === undefined ? [{ font, text: decode(token.text ?? '').replace(/\s+/g, ' ') }] : runsOf(token.tokens, font)
  })
}

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
const decode = (text) => text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => ENTITIES[name])
