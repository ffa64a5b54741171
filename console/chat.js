// @ts-check
/**
 * The chat of somebody who is signed in, from then until they are signed out: brings the list, the transcript, the
 * composer and the connection together. Everything it begins ends with it.
 */
import { Announcer } from './announcer.js'
import { Problem } from './api.js'
import { Composer } from './composer.js'
import { addressOf, Conversations, newConversationId, openInAddress, UNTITLED } from './conversations.js'
import { Drawer } from './drawer.js'
import { byId } from './element.js'
import { Follow } from './follow.js'
import { Outgoing } from './outgoing.js'
import { signOut, takeCode, whoAmI } from './session.js'
import { Socket } from './socket.js'
import { Transcript } from './transcript.js'

/**
 * @typedef {import('./protocol.js').Identity} Identity
 * @typedef {import('./protocol.js').ServerFrame} ServerFrame
 * @typedef {import('./socket.js').ConnectionState} ConnectionState
 */

/** @type {Record<ConnectionState, string>} */
const CONNECTION = { connecting: 'Connecting…', online: 'Online', offline: 'Offline, trying again…', denied: 'This key may not chat' }

/** How a chat ended: what to tell, and a new code if one came in by the address. @typedef {{ notice: string, code: string | null }} End */

/**
 * @param {Identity} identity
 * @returns {Promise<End>}
 */
export async function chat(identity) {
  const ended = new AbortController()
  const app = byId('app', HTMLElement)
  byId('principal', HTMLElement).textContent = identity.principal
  app.hidden = false
  const room = new Room(identity, ended.signal)
  try {
    return await room.untilSignedOut()
  } finally {
    room.stop()
    ended.abort()
    app.hidden = true
  }
}

class Room {
  #signal
  #list = byId('exchanges', HTMLElement)
  #earlier = byId('earlier', HTMLButtonElement)
  #retryLoad = byId('load-failed', HTMLElement)
  #announcer = new Announcer(byId('announcer', HTMLElement))
  #drawer
  #follow
  #composer
  #conversations
  #outgoing
  #socket
  /** @type {Transcript | null} */ #transcript = null
  #isLoaded = false
  /** @type {(end: End) => void} */ #end = () => undefined

  /** @param {Identity} identity @param {AbortSignal} signal */
  constructor(identity, signal) {
    this.#signal = signal
    this.#drawer = new Drawer(signal)
    const scroller = byId('transcript', HTMLElement)
    this.#follow = new Follow({ scroller, content: this.#list, button: byId('to-end', HTMLButtonElement), signal })
    this.#composer = new Composer({ onSend: (text) => this.#say(text), signal })
    const list = byId('conversation-list', HTMLElement)
    this.#conversations = new Conversations({ list, principal: identity.principal, signal, onChange: () => this.#title() })
    this.#socket = new Socket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/ws`, {
      onState: (state) => this.#connection(state),
      onReady: () => this.#ready(),
      onFrame: (frame) => this.#receive(frame),
      maySignIn: () => this.#isSignedIn(),
    })
    this.#outgoing = new Outgoing(identity.principal, (frame) => void this.#socket.push(frame))
    this.#listen(signal)
  }

  /** @returns {Promise<End>} */
  async untilSignedOut() {
    const end = /** @type {Promise<End>} */ (new Promise((resolve) => (this.#end = resolve)))
    this.#connection('connecting')
    this.#socket.start()
    await this.#refreshList()
    if (openInAddress() === null) history.replaceState(null, '', addressOf(this.#conversations.newest() ?? newConversationId()))
    this.#openAddress()
    // On a touch screen that would bring up the keyboard over what there is to read.
    if (matchMedia('(pointer: fine)').matches) this.#composer.focus()
    return end
  }

  stop() {
    this.#socket.stop()
    this.#outgoing.stop()
    this.#transcript?.stop()
    this.#list.replaceChildren()
  }

  /** @param {AbortSignal} signal */
  #listen(signal) {
    addEventListener('hashchange', () => this.#openAddress(), { signal })
    addEventListener('online', () => this.#socket.hurry(), { signal })
    byId('reconnect', HTMLButtonElement).addEventListener('click', () => this.#socket.hurry(), { signal })
    byId('new-conversation', HTMLButtonElement).addEventListener('click', () => this.#begin(), { signal })
    byId('sign-out', HTMLButtonElement).addEventListener('click', () => void this.#leave(), { signal })
    byId('load-again', HTMLButtonElement).addEventListener('click', () => void this.#load(), { signal })
    this.#earlier.addEventListener('click', () => void this.#loadEarlier(), { signal })
    const seen = new IntersectionObserver(([entry]) => entry?.isIntersecting && void this.#loadEarlier())
    seen.observe(this.#earlier)
    signal.addEventListener('abort', () => seen.disconnect())
    for (const suggestion of document.querySelectorAll('#empty button')) {
      suggestion.addEventListener('click', () => this.#composer.put(suggestion.textContent ?? ''), { signal })
    }
    byId('skip', HTMLAnchorElement).addEventListener(
      'click',
      (event) => {
        event.preventDefault()
        this.#composer.focus()
      },
      { signal },
    )
    document.addEventListener(
      'keydown',
      (event) => {
        if (!event.altKey || event.ctrlKey || event.metaKey || event.code !== 'KeyN') return
        event.preventDefault()
        this.#begin()
      },
      { signal },
    )
    document.addEventListener(
      'visibilitychange',
      () => {
        if (document.visibilityState === 'visible') void this.#refreshList()
      },
      { signal },
    )
  }

  #begin() {
    location.hash = addressOf(newConversationId())
    this.#composer.focus()
  }

  #openAddress() {
    const code = takeCode()
    if (code !== null) return this.#end({ notice: '', code })
    const id = openInAddress() ?? this.#conversations.newest() ?? newConversationId()
    if (id === this.#transcript?.conversation) return
    this.#transcript?.stop()
    this.#list.replaceChildren()
    const opened = new AbortController()
    this.#transcript = new Transcript(id, {
      list: this.#list,
      signal: AbortSignal.any([this.#signal, opened.signal]),
      onNews: (text) => {
        this.#announcer.say(text)
        this.#follow.news()
      },
      onChange: () => this.#changed(),
      onEdit: (text) => this.#composer.put(text),
    })
    for (const message of this.#outgoing.of(id)) this.#transcript.say(message)
    this.#isLoaded = false
    this.#composer.open(id)
    this.#conversations.select(id)
    this.#drawer.close()
    this.#follow.toEnd()
    void this.#load()
  }

  async #load() {
    const transcript = this.#transcript
    if (!transcript) return
    this.#retryLoad.hidden = true
    try {
      const since = await transcript.open(this.#conversations.get(transcript.conversation)?.session ?? null)
      if (transcript !== this.#transcript) return
      this.#isLoaded = true
      this.#socket.follow(transcript.conversation, since)
      this.#changed()
      this.#follow.toEnd()
    } catch (error) {
      if (transcript !== this.#transcript || this.#signal.aborted) return
      if (error instanceof Problem && error.status === 401) return void this.#isSignedIn()
      this.#retryLoad.hidden = false
    }
  }

  async #loadEarlier() {
    const transcript = this.#transcript
    if (this.#isLoaded && transcript?.hasEarlier) await this.#follow.keepPlace(() => transcript.loadEarlier()).catch(() => undefined)
  }

  async #refreshList() {
    await this.#conversations.refresh().catch(() => undefined)
  }

  /** @param {string} text @returns {string} why not; empty: it is on its way */
  #say(text) {
    const transcript = this.#transcript
    if (!transcript) return 'No conversation is open.'
    const refusal = this.#outgoing.refuses(text)
    if (refusal !== '') return refusal
    const message = this.#outgoing.send(transcript.conversation, text)
    transcript.say(message)
    this.#conversations.said(transcript.conversation, text, message.at)
    this.#follow.toEnd()
    return ''
  }

  #ready() {
    this.#outgoing.flush()
    if (!this.#isLoaded && this.#transcript) void this.#refreshList().then(() => this.#load())
  }

  /** @param {ServerFrame} frame */
  #receive(frame) {
    if (frame.type === 'ack') this.#outgoing.forget(frame.id)
    if (frame.type === 'error' && frame.id !== null) {
      if (frame.retryable) this.#outgoing.retry(frame.id, frame.retry_after_ms)
      else this.#outgoing.forget(frame.id)
    }
    if (frame.type === 'reply') this.#conversations.replied(frame.conversation, Date.now())
    const conversation = 'conversation' in frame ? frame.conversation : this.#transcript?.conversation
    if (conversation === this.#transcript?.conversation) this.#transcript?.receive(frame)
  }

  /** @param {ConnectionState} state */
  #connection(state) {
    const shown = byId('connection', HTMLElement)
    shown.dataset['state'] = state
    byId('connection-text', HTMLElement).textContent = CONNECTION[state]
    byId('reconnect', HTMLButtonElement).hidden = state !== 'offline'
    if (state !== 'online') this.#transcript?.cut()
  }

  async #isSignedIn() {
    try {
      await whoAmI()
      return true
    } catch (error) {
      const isOut = error instanceof Problem && error.status === 401
      if (isOut) this.#end({ notice: 'Your session ended. Sign in again; what was not sent yet is kept.', code: null })
      return !isOut
    }
  }

  async #leave() {
    this.#outgoing.clear()
    this.#composer.clear()
    await signOut()
    history.replaceState(null, '', location.pathname)
    this.#end({ notice: 'You are signed out.', code: null })
  }

  /** There may be more or less to see. */
  #changed() {
    byId('empty', HTMLElement).hidden = !this.#isLoaded || !this.#transcript?.isEmpty
    this.#earlier.hidden = !this.#transcript?.hasEarlier
  }

  #title() {
    const conversation = this.#transcript && this.#conversations.get(this.#transcript.conversation)
    const title = conversation?.title || UNTITLED
    byId('title', HTMLElement).textContent = title
    byId('agent', HTMLElement).textContent = conversation?.agent ?? ''
    document.title = `${title} · OpenClaw`
  }
}
