// @ts-check
/**
 * The connection to `/v1/ws`, protocol `openclaw.v1`: connects, says so, and connects again after every cut, with full
 * jitter. Remembers the highest reply of each conversation it follows and resumes there, so that a cut loses nothing and
 * repeats nothing. What the frames mean is for others.
 */

/**
 * @typedef {import('./protocol.js').ServerFrame} ServerFrame
 * @typedef {import('./protocol.js').ClientFrame} ClientFrame
 * @typedef {'connecting' | 'online' | 'offline' | 'denied'} ConnectionState
 */

const MIN_DELAY_MS = 500
const MAX_DELAY_MS = 15_000
const PONG_TIMEOUT_MS = 10_000
const READY_TIMEOUT_MS = 10_000
const MAX_FOLLOWED = 20
/** The gateway takes 100 conversations on one connection. */
const MAX_JOINED = 80
const CLOSE_NOT_ALLOWED = 4403

/**
 * Full jitter: anywhere between the least delay and a ceiling that doubles.
 * @param {number} attempt from 0
 * @param {() => number} random
 */
export function reconnectDelayMs(attempt, random) {
  const ceilingMs = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** (attempt + 1))
  return Math.round(MIN_DELAY_MS + random() * (ceilingMs - MIN_DELAY_MS))
}

export class Socket {
  #url
  #hooks
  /** @type {WebSocket | null} */ #socket = null
  /** @type {ConnectionState} */ #state = 'connecting'
  /** Conversation → highest seq seen. @type {Map<string, number>} */ #followed = new Map()
  /** Conversations that this connection has spoken of. @type {Set<string>} */ #joined = new Set()
  #attempt = 0
  #isReady = false
  #isStopped = false
  #pingMs = 30_000
  /** One timer: until the next attempt, the ready frame, the next ping or the pong. @type {ReturnType<typeof setTimeout> | undefined} */ #timer

  /**
   * @param {string} url
   * @param {{
   *   onState: (state: ConnectionState) => void,
   *   onReady: () => void,
   *   onFrame: (frame: ServerFrame) => void,
   *   maySignIn: () => Promise<boolean>,
   * }} hooks `maySignIn`: false when the page's cookie is worth nothing any more; then no attempt follows
   */
  constructor(url, hooks) {
    this.#url = url
    this.#hooks = hooks
  }

  start() {
    this.#isStopped = false
    this.#connect()
  }

  stop() {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#drop()
  }

  /** Connects now rather than when the delay is over. */
  hurry() {
    if (this.#isStopped || this.#socket || this.#state === 'denied') return
    this.#attempt = 0
    clearTimeout(this.#timer)
    this.#connect()
  }

  /**
   * Follows a conversation's replies from the one after `since`, and again after every cut.
   * @param {string} conversation
   * @param {number} since
   */
  follow(conversation, since) {
    this.#followed.delete(conversation)
    this.#followed.set(conversation, since)
    const [oldest] = this.#followed.keys()
    if (this.#followed.size > MAX_FOLLOWED && oldest !== undefined) this.#followed.delete(oldest)
    // A new connection follows only those that are still wanted.
    if (this.#isReady && this.#joined.size >= MAX_JOINED) this.#renew()
    else this.push({ type: 'subscribe', conversation, since })
  }

  /**
   * @param {ClientFrame} frame
   * @returns {boolean} false: not connected, nothing was sent
   */
  push(frame) {
    if (!this.#isReady || !this.#socket) return false
    if (frame.type !== 'ping') this.#joined.add(frame.conversation)
    this.#socket.send(JSON.stringify(frame))
    return true
  }

  #connect() {
    const socket = new WebSocket(this.#url, 'openclaw.v1')
    this.#socket = socket
    this.#joined.clear()
    this.#timer = setTimeout(() => this.#closed(0), READY_TIMEOUT_MS)
    socket.onmessage = (event) => this.#receive(event.data)
    socket.onclose = (event) => this.#closed(event.code)
  }

  /** @param {unknown} data */
  #receive(data) {
    /** @type {ServerFrame} */
    const frame = JSON.parse(String(data))
    if (frame.type === 'ready') {
      this.#attempt = 0
      this.#isReady = true
      if (frame.ping_ms > 0) this.#pingMs = frame.ping_ms
      for (const [conversation, since] of this.#followed) this.push({ type: 'subscribe', conversation, since })
      this.#enter('online')
      this.#hooks.onReady()
    }
    if (frame.type === 'reply') {
      const seen = this.#followed.get(frame.conversation)
      if (seen !== undefined && frame.seq > seen) this.#followed.set(frame.conversation, frame.seq)
    }
    // Lower than what was asked for: another store, which counts from its own beginning.
    if (frame.type === 'subscribed' && this.#followed.has(frame.conversation)) this.#followed.set(frame.conversation, frame.last_seq)
    this.#listen()
    this.#hooks.onFrame(frame)
  }

  /** A browser does not tell of a server that fell silent: ask when nothing was heard, and give up when nothing comes. */
  #listen() {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.push({ type: 'ping' })
      this.#timer = setTimeout(() => this.#closed(0), PONG_TIMEOUT_MS)
    }, this.#pingMs)
  }

  #renew() {
    clearTimeout(this.#timer)
    this.#drop()
    this.#enter('connecting')
    this.#connect()
  }

  /** @param {number} code */
  #closed(code) {
    clearTimeout(this.#timer)
    this.#drop()
    if (this.#isStopped) return
    if (code === CLOSE_NOT_ALLOWED) return this.#enter('denied')
    this.#enter('offline')
    this.#timer = setTimeout(() => void this.#again(), reconnectDelayMs(this.#attempt, Math.random))
    this.#attempt++
  }

  async #again() {
    // A refused upgrade looks like any other cut (WHATWG WebSockets hides the status), so ask over HTTP who we are.
    const allowed = await this.#hooks.maySignIn()
    if (allowed && !this.#isStopped && !this.#socket) this.#connect()
  }

  #drop() {
    const socket = this.#socket
    this.#socket = null
    this.#isReady = false
    if (!socket) return
    socket.onmessage = null
    socket.onclose = null
    socket.close()
  }

  /** @param {ConnectionState} state */
  #enter(state) {
    if (state === this.#state) return
    this.#state = state
    this.#hooks.onState(state)
  }
}
