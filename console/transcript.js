// @ts-check
/**
 * One open conversation: its messages in order, each with its replies. History comes by HTTP in pages, what happens now by
 * frames; both may tell of the same thing, and it is shown once. Message ids sort by age, which is how a message that
 * somebody said elsewhere finds its place.
 */
import { request } from './api.js'
import { Documents } from './documents.js'
import { Exchange } from './exchange.js'
import { Held } from './held.js'
import { payloadText } from './protocol.js'
import { isFinal } from './state.js'

/**
 * @typedef {import('./protocol.js').MessageDocument} MessageDocument
 * @typedef {import('./protocol.js').ServerFrame} ServerFrame
 * @typedef {import('./protocol.js').MessageNews} MessageNews
 * @typedef {import('./outgoing.js').Unsent} Unsent
 */

const PAGE = 50

export class Transcript {
  conversation
  #list
  #signal
  #hooks
  /** In the order of the screen. @type {Exchange[]} */ #exchanges = []
  /** @type {Map<string, Exchange>} */ #byMessage = new Map()
  /** @type {Map<string, Exchange>} */ #byClient = new Map()
  /** Replies that are shown: those of a turn about several messages are told of with each. @type {Set<number>} */ #seqs = new Set()
  #held = new Held()
  #documents
  /** @type {string | null} */ #session = null
  /** @type {string | null} */ #cursor = null
  #isLoading = false
  /** Whether what comes now is news, and not history told again. */
  #isLive = false

  /**
   * @param {string} conversation
   * @param {{
   *   list: HTMLElement,
   *   signal: AbortSignal,
   *   onNews: (text: string) => void,
   *   onPage: (put: () => void) => void,
   *   onChange: () => void,
   *   onEdit: (text: string) => void,
   * }} view `onNews`: something was finished that a reader wants to hear of; `onPage`: a page of history is to be put; `onChange`: there may be more or less to see
   */
  constructor(conversation, { list, signal, ...hooks }) {
    this.conversation = conversation
    this.#list = list
    this.#signal = signal
    this.#hooks = hooks
    this.#documents = new Documents({ signal, onDocument: (document) => this.#take(document) })
  }

  get isEmpty() {
    return this.#exchanges.length === 0
  }

  get hasEarlier() {
    return this.#cursor !== null
  }

  /**
   * Loads the newest page of a session; none: the conversation is new.
   * @param {string | null} session
   * @returns {Promise<number>} the seq after which replies are still to come
   */
  async open(session) {
    this.#session = session
    if (session === null) return 0
    const seqs = await this.#load()
    // One page is told again rather than a reply lost that fell between two reads.
    return seqs.length === 0 ? 0 : Math.min(...seqs) - 1
  }

  async loadEarlier() {
    if (this.#cursor !== null && !this.#isLoading) await this.#load()
  }

  /** @param {Unsent} message */
  say({ id, text, at }) {
    if (this.#byClient.has(id)) return
    const condition = { state: /** @type {const} */ ('sending'), why: '', dueAt: null, deadLetterId: null }
    this.#add(new Exchange({ messageId: null, clientId: id, text, at, condition, onEdit: this.#hooks.onEdit }), this.#exchanges.length)
  }

  /** The connection is gone: streams have a gap from here on. */
  cut() {
    for (const exchange of this.#exchanges) exchange.tearStream()
  }

  /** @param {ServerFrame} frame */
  receive(frame) {
    switch (frame.type) {
      case 'ack':
        return this.#acknowledge(frame.id, frame.message_id, frame.duplicate)
      case 'error':
        return this.#refuse(frame)
      case 'status':
      case 'delta':
      case 'reply':
        return this.#tell(frame)
      case 'subscribed':
        return this.#catchUp()
      case 'ready':
      case 'pong':
    }
  }

  /** Nothing of it goes on after this. */
  stop() {
    for (const exchange of this.#exchanges) exchange.stop()
  }

  /** @returns {Promise<readonly number[]>} the seqs of the replies that came with the page */
  async #load() {
    this.#isLoading = true
    try {
      const query = new URLSearchParams({ session: this.#session ?? '', limit: String(PAGE) })
      if (this.#cursor !== null) query.set('cursor', this.#cursor)
      const answer = await request('GET', `/v1/messages?${query}`, { signal: this.#signal })
      const page = /** @type {import('./protocol.js').Page<MessageDocument>} */ (answer)
      this.#cursor = page.cursor
      this.#hooks.onPage(() => {
        for (const document of page.data) this.#take(document)
      })
      return page.data.flatMap((document) => (document.replies ?? []).map((reply) => reply.seq))
    } finally {
      this.#isLoading = false
      this.#hooks.onChange()
    }
  }

  /** Shows a document, as a new exchange or as news about one that is there. @param {MessageDocument} document */
  #take(document) {
    const id = document.message_id
    const condition = {
      state: document.status,
      why: document.reason?.message ?? '',
      dueAt: document.due_at === null ? null : Date.parse(document.due_at),
      deadLetterId: document.dead_letter_id ?? null,
    }
    let exchange = this.#byMessage.get(id)
    const isKnown = exchange !== undefined
    if (exchange) exchange.become(condition)
    else {
      const text = payloadText(document.payload)
      const at = Date.parse(document.accepted_at)
      exchange = new Exchange({ messageId: id, clientId: null, text, at, condition, onEdit: this.#hooks.onEdit })
      this.#add(exchange, this.#placeOf(id))
    }
    for (const reply of document.replies ?? []) this.#hang(exchange, reply, isKnown)
    exchange.settle()
    for (const frame of this.#held.take(id)) this.#tell(frame)
  }

  /** @param {Exchange} exchange @param {number} place */
  #add(exchange, place) {
    this.#list.insertBefore(exchange.element, this.#exchanges[place]?.element ?? null)
    this.#exchanges.splice(place, 0, exchange)
    if (exchange.messageId !== null) this.#byMessage.set(exchange.messageId, exchange)
    if (exchange.clientId !== null) this.#byClient.set(exchange.clientId, exchange)
    this.#hooks.onChange()
  }

  /** Where a message belongs; what is not acknowledged yet is the newest. @param {string} id */
  #placeOf(id) {
    const after = this.#exchanges.findLastIndex(({ messageId }) => messageId !== null && messageId < id)
    return after + 1
  }

  /** @param {string} clientId @param {string} messageId @param {boolean} duplicate */
  #acknowledge(clientId, messageId, duplicate) {
    const exchange = this.#byClient.get(clientId)
    if (!exchange || exchange.messageId !== null) return
    if (this.#byMessage.has(messageId)) {
      // The history told of it before its acknowledgement came.
      this.#exchanges.splice(this.#exchanges.indexOf(exchange), 1)
      this.#byClient.delete(clientId)
      exchange.element.remove()
      exchange.stop()
    } else {
      exchange.messageId = messageId
      this.#byMessage.set(messageId, exchange)
      exchange.become({ state: 'queued', why: '' })
      if (duplicate) this.#documents.ask(messageId)
      else exchange.beginStream()
      for (const frame of this.#held.take(messageId)) this.#tell(frame)
    }
    this.#askForHeld()
  }

  /** @param {import('./protocol.js').ErrorFrame} frame */
  #refuse({ id, detail, retryable }) {
    const exchange = id === null ? undefined : this.#byClient.get(id)
    if (!exchange || exchange.messageId !== null) return
    this.#become(exchange, retryable ? 'retrying' : 'refused', detail)
    this.#askForHeld()
  }

  /** @param {Exchange} exchange @param {import('./state.js').State} state @param {string} why */
  #become(exchange, state, why) {
    const was = exchange.state
    exchange.become({ state, why, dueAt: null })
    if (was !== state && (state === 'dead' || state === 'refused')) this.#hooks.onNews(`The message was not answered. ${why}`)
  }

  /** @param {MessageNews} frame */
  #tell(frame) {
    const id = frame.message_id
    const exchange = this.#byMessage.get(id)
    if (!exchange) {
      this.#held.put(frame)
      return this.#askForHeld()
    }
    if (frame.type === 'delta') exchange.delta(frame.text)
    else if (frame.type === 'reply') this.#hang(exchange, frame, true)
    else {
      this.#documents.overtake(id)
      if (frame.status === 'running') exchange.beginStream()
      this.#become(exchange, frame.status, frame.reason ?? '')
      // When it goes on, and what became of a message that ended without a word, only the document says.
      const isTold = frame.status === 'queued' || frame.status === 'running' || exchange.hasReplies
      if (!isTold) this.#documents.ask(id)
    }
  }

  /** @param {Exchange} exchange @param {import('./exchange.js').Reply} reply @param {boolean} isNews */
  #hang(exchange, reply, isNews) {
    if (this.#seqs.has(reply.seq)) return
    this.#seqs.add(reply.seq)
    exchange.reply(reply)
    if (isNews && this.#isLive) this.#hooks.onNews(reply.text)
  }

  /** Messages of which only frames are known were said elsewhere, once no acknowledgement of ours is awaited. */
  #askForHeld() {
    const ids = this.#held.ids
    if (ids.length === 0 || this.#exchanges.some(({ messageId, state }) => messageId === null && state !== 'refused')) return
    const oldest = this.#exchanges.find(({ messageId }) => messageId !== null)?.messageId
    const isEarlier = (/** @type {string} */ id) => this.#cursor !== null && oldest != null && id < oldest
    for (const id of ids) if (!isEarlier(id)) this.#documents.ask(id)
  }

  /** States are not told again after a cut, so ask for those that were still open. */
  #catchUp() {
    this.#isLive = true
    for (const { messageId, state } of this.#exchanges) if (messageId !== null && !isFinal(state)) this.#documents.ask(messageId)
  }
}
