// @ts-check
/**
 * The list of conversations of whoever is signed in: the sessions of the WebSocket channel that are theirs, titled by
 * their first message, the newest activity first. Which one is open stands in the address (`#/c/<id>`).
 */
import { request } from './api.js'
import { element } from './element.js'
import { CHANNEL, readSessionId } from './protocol.js'

/**
 * @typedef {{ id: string, title: string, at: number, session: string | null, agent: string, hasNews: boolean }} Conversation
 * @typedef {import('./protocol.js').SessionDocument} SessionDocument
 * @typedef {import('./protocol.js').MemoryEntry} MemoryEntry
 */

const PAGE = 100
const MAX_PAGES = 10
const MAX_LISTED = 200
const MAX_TITLE = 80
/** The first message of a very long conversation is not looked for any further back. */
const MAX_TITLE_PAGES = 5
export const UNTITLED = 'New conversation'

/** The conversation that the address names. */
export function openInAddress() {
  const found = /^#\/c\/([^/?&]+)$/.exec(location.hash)
  try {
    return found ? decodeURIComponent(found[1] ?? '') : null
  } catch {
    return null
  }
}

/** @param {string} id */
export const addressOf = (id) => `#/c/${encodeURIComponent(id)}`

export const newConversationId = () => `c-${crypto.randomUUID().replaceAll('-', '').slice(0, 16)}`

export class Conversations {
  /** @type {Map<string, Conversation>} */ #known = new Map()
  /** @type {Map<string, { item: HTMLElement, link: HTMLAnchorElement, title: Element, time: Element }>} */ #rows = new Map()
  #list
  #principal
  #signal
  #onChange
  #open = ''
  /** Whether the gateway has told what there is. */
  #isRead = false

  /**
   * @param {{ list: HTMLElement, principal: string, signal: AbortSignal, onChange: () => void }} options
   */
  constructor({ list, principal, signal, onChange }) {
    this.#list = list
    this.#principal = principal
    this.#signal = signal
    this.#onChange = onChange
  }

  clear() {
    this.#known.clear()
    this.#rows.clear()
    this.#list.replaceChildren()
    this.#onChange()
  }

  /** Reads the list anew; what only this page knows stays. */
  async refresh() {
    let cursor = ''
    for (let page = 0; page < MAX_PAGES && this.#known.size < MAX_LISTED; page++) {
      const query = new URLSearchParams({ channel: CHANNEL, limit: String(PAGE) })
      if (cursor !== '') query.set('cursor', cursor)
      const answer = await request('GET', `/v1/sessions?${query}`, { signal: this.#signal })
      const sessions = /** @type {import('./protocol.js').Page<SessionDocument>} */ (answer)
      for (const session of sessions.data) this.#take(session)
      if (sessions.cursor === null) break
      cursor = sessions.cursor
    }
    this.#isRead = true
    this.#draw()
    void this.#findTitles()
  }

  /** @param {string} id */
  get(id) {
    return this.#known.get(id)
  }

  /**
   * The session of a conversation; null: nothing was said there yet, as far as the gateway knows.
   * @param {string} id
   */
  async sessionOf(id) {
    if (!this.#isRead || this.#known.get(id)?.session === null) await this.refresh()
    return this.#known.get(id)?.session ?? null
  }

  /** The one with the newest activity. */
  newest() {
    return this.#sorted()[0]?.id ?? null
  }

  /** @param {string} id */
  select(id) {
    this.#open = id
    const conversation = this.#known.get(id)
    if (conversation) conversation.hasNews = false
    this.#draw()
  }

  /** Something was said there by this page. @param {string} id @param {string} text @param {number} at */
  said(id, text, at) {
    const conversation = this.#known.get(id) ?? { id, title: '', at, session: null, agent: '', hasNews: false }
    conversation.at = at
    if (conversation.title === '') conversation.title = titleOf(text)
    this.#known.set(id, conversation)
    this.#draw()
  }

  /** A reply came there. @param {string} id @param {number} at */
  replied(id, at) {
    const conversation = this.#known.get(id)
    if (!conversation) return
    conversation.at = at
    conversation.hasNews = id !== this.#open
    this.#draw()
  }

  /** @param {SessionDocument} session */
  #take({ id, updated_at }) {
    const parts = readSessionId(id)
    if (parts?.account !== this.#principal) return
    const at = Date.parse(updated_at)
    const known = this.#known.get(parts.conversation)
    // One conversation has a session with each agent that was asked for; the busiest last is the one shown.
    if (known && known.session !== null && known.session !== id && known.at > at) return
    const { conversation, agent } = parts
    this.#known.set(conversation, {
      title: '',
      hasNews: false,
      ...known,
      id: conversation,
      at: Math.max(at, known?.at ?? 0),
      session: id,
      agent,
    })
  }

  async #findTitles() {
    for (const conversation of this.#sorted()) {
      if (conversation.title !== '' || conversation.session === null) continue
      try {
        conversation.title = titleOf(await firstWords(conversation.session, this.#signal))
        this.#draw()
      } catch {
        return
      }
    }
  }

  #sorted() {
    return [...this.#known.values()].sort((a, b) => b.at - a.at)
  }

  #draw() {
    const focused = document.activeElement
    const sorted = this.#sorted().slice(0, MAX_LISTED)
    for (const [index, conversation] of sorted.entries()) {
      const row = this.#rows.get(conversation.id) ?? this.#row(conversation.id)
      row.title.textContent = conversation.title === '' ? UNTITLED : conversation.title
      row.time.textContent = ageOf(conversation.at)
      row.item.classList.toggle('news', conversation.hasNews)
      row.link.setAttribute('aria-label', conversation.hasNews ? `${row.title.textContent}, new reply` : (row.title.textContent ?? ''))
      if (conversation.id === this.#open) row.link.setAttribute('aria-current', 'page')
      else row.link.removeAttribute('aria-current')
      if (this.#list.children[index] !== row.item) this.#list.insertBefore(row.item, this.#list.children[index] ?? null)
    }
    if (focused instanceof HTMLElement && this.#list.contains(focused)) focused.focus()
    this.#onChange()
  }

  /** @param {string} id */
  #row(id) {
    const title = element('span', { class: 'title', dir: 'auto' })
    const time = element('span', { class: 'age' })
    const link = element('a', { href: addressOf(id) }, title, time)
    const row = { item: element('li', {}, link), link, title, time }
    this.#rows.set(id, row)
    return row
  }
}

/**
 * The first thing somebody said in a session, found from its newest page back.
 * @param {string} session
 * @param {AbortSignal} signal
 */
async function firstWords(session, signal) {
  let words = ''
  let cursor = ''
  for (let page = 0; page < MAX_TITLE_PAGES; page++) {
    const query = new URLSearchParams({ limit: String(PAGE) })
    if (cursor !== '') query.set('cursor', cursor)
    const answer = await request('GET', `/v1/sessions/${encodeURIComponent(session)}/messages?${query}`, { signal })
    const entries = /** @type {import('./protocol.js').Page<MemoryEntry>} */ (answer)
    words = entries.data.findLast(({ role }) => role === 'user')?.text ?? words
    if (entries.cursor === null) break
    cursor = entries.cursor
  }
  return words
}

/** @param {string} text */
function titleOf(text) {
  const line = text.trim().replace(/\s+/g, ' ')
  return [...line.slice(0, MAX_TITLE * 2)].slice(0, MAX_TITLE).join('')
}

/** @param {number} at */
function ageOf(at) {
  const time = new Date(at)
  const isToday = time.toDateString() === new Date().toDateString()
  return isToday
    ? time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : time.toLocaleDateString([], { day: 'numeric', month: 'short' })
}
