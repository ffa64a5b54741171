// @ts-check
/**
 * The chat of somebody who is signed in, from then until they are signed out: brings the list, the transcript, the
 * composer and the connection together. Everything it begins ends with it.
 */
import { Problem } from './api.js'
import { Composer } from './composer.js'
import { addressOf, Conversations, newConversationId, openInAddress, UNTITLED } from './conversations.js'
import { Drawer } from './drawer.js'
import { byId } from './element.js'
import { Outgoing } from './outgoing.js'
import { Reading } from './reading.js'
import { signOut, takeCode, whoAmI } from './session.js'
import { Socket } from './socket.js'

/**
 * @typedef {import('./protocol.js').Identity} Identity
 * @typedef {import('./protocol.js').ServerFrame} ServerFrame
 * @typedef {import('./socket.js').ConnectionState} ConnectionState
 */

/** @type {Record<ConnectionState, string>} */
const CONNECTION = { connecting: 'Connecting…', online: 'Online', offline: 'Offline', denied: 'Not allowed to chat' }

/** How a chat ended: what to tell, and a new code if one came in by the address. @typedef {{ notice: string, code: string | null }} End */

/**
 * @param {Identity} identity
 * @returns {Promise<End>}
 */
export async function chat(identity) {
  const ended = new AbortController()
  const app = byId('app', HTMLElement)
  byId('principal', HTMLElement).textContent = identity.principal
  const room = new Room(identity, ended.signal)
  try {
    await room.enter()
    byId('splash', HTMLElement).hidden = true
    app.hidden = false
    return await room.untilSignedOut()
  } finally {
    room.stop()
    ended.abort()
    app.hidden = true
  }
}

class Room {
  #drawer
  #reading
  #composer
  #conversations
  #outgoing
  #socket
  #mayChat
  /** @type {(end: End) => void} */ #end = () => undefined
  /** @type {Promise<End>} */ #ended = new Promise((resolve) => (this.#end = resolve))

  /** @param {Identity} identity @param {AbortSignal} signal */
  constructor({ principal, scopes = ['*'] }, signal) {
    this.#mayChat = scopes.some((scope) => scope === '*' || scope === 'messages:write')
    this.#drawer = new Drawer(signal)
    this.#composer = new Composer({ onSend: (text) => this.#say(text), signal })
    const list = byId('conversation-list', HTMLElement)
    this.#conversations = new Conversations({ list, principal, signal, onChange: () => this.#title() })
    this.#socket = new Socket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/ws`, {
      onState: (state) => this.#connection(state),
      onReady: () => this.#ready(),
      onFrame: (frame) => this.#receive(frame),
      maySignIn: () => this.#isSignedIn(),
    })
    this.#outgoing = new Outgoing(principal, (frame) => void this.#socket.push(frame))
    this.#reading = new Reading({
      sessionOf: (conversation) => this.#conversations.sessionOf(conversation),
      onLoaded: (conversation, since) => this.#socket.follow(conversation, since),
      onEdit: (text) => this.#composer.put(text),
      signal,
    })
    this.#listen(signal)
  }

  /** Connects, and opens the conversation that the address names or else the newest one. */
  async enter() {
    // A browser is not told why it gets no WebSocket, so what is known is said before.
    this.#connection(this.#mayChat ? 'connecting' : 'denied')
    if (this.#mayChat) this.#socket.start()
    await this.#refreshList()
    if (openInAddress() === null) history.replaceState(null, '', addressOf(this.#conversations.newest() ?? newConversationId()))
    this.#openAddress()
  }

  /** @returns {Promise<End>} */
  untilSignedOut() {
    // On a touch screen that would bring up the keyboard over what there is to read.
    if (matchMedia('(pointer: fine)').matches) this.#composer.focus()
    return this.#ended
  }

  stop() {
    this.#socket.stop()
    this.#outgoing.stop()
    this.#reading.close()
    this.#conversations.clear()
  }

  /** @param {AbortSignal} signal */
  #listen(signal) {
    addEventListener('hashchange', () => this.#openAddress(), { signal })
    addEventListener('online', () => this.#socket.hurry(), { signal })
    byId('reconnect', HTMLButtonElement).addEventListener('click', () => this.#socket.hurry(), { signal })
    byId('new-conversation', HTMLButtonElement).addEventListener('click', () => this.#begin(), { signal })
    byId('sign-out', HTMLButtonElement).addEventListener('click', () => void this.#leave(), { signal })
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
    if (id === this.#reading.conversation) return
    this.#reading.open(id, this.#outgoing.of(id))
    this.#composer.open(id)
    this.#conversations.select(id)
    this.#drawer.close()
  }

  async #refreshList() {
    await this.#conversations.refresh().catch(() => undefined)
  }

  /** @param {string} text @returns {string} why not; empty: it is on its way */
  #say(text) {
    const conversation = this.#reading.conversation
    if (conversation === null) return 'No conversation is open yet.'
    if (!this.#mayChat) return 'This key may read, but not send: it lacks messages:write.'
    const refusal = this.#outgoing.refuses(text)
    if (refusal !== '') return refusal
    const message = this.#outgoing.send(conversation, text)
    this.#reading.say(message)
    this.#conversations.said(conversation, text, message.at)
    return ''
  }

  #ready() {
    this.#outgoing.flush()
    this.#reading.loadAgain()
  }

  /** @param {ServerFrame} frame */
  #receive(frame) {
    if (frame.type === 'ack') {
      this.#outgoing.forget(frame.id)
      // The first message of a conversation makes its session.
      if (this.#conversations.get(frame.conversation)?.session === null) void this.#refreshList()
    }
    if (frame.type === 'error' && frame.id !== null) {
      if (frame.retryable) this.#outgoing.retry(frame.id, frame.retry_after_ms)
      else this.#outgoing.forget(frame.id)
    }
    if (frame.type === 'reply') this.#conversations.replied(frame.conversation, Date.now())
    if (!('conversation' in frame) || frame.conversation === this.#reading.conversation) this.#reading.receive(frame)
  }

  /** @param {ConnectionState} state */
  #connection(state) {
    const shown = byId('connection', HTMLElement)
    shown.dataset['state'] = state
    byId('connection-text', HTMLElement).textContent = CONNECTION[state]
    byId('reconnect', HTMLButtonElement).hidden = state !== 'offline'
    if (state !== 'online') this.#reading.cut()
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
    const refusal = await signOut()
    byId('account-message', HTMLElement).textContent = refusal
    if (refusal !== '') return
    this.#outgoing.clear()
    this.#composer.clear()
    history.replaceState(null, '', location.pathname)
    this.#end({ notice: 'You are signed out.', code: null })
  }

  #title() {
    const conversation = this.#conversations.get(this.#reading?.conversation ?? '')
    const title = conversation?.title || UNTITLED
    byId('title', HTMLElement).textContent = title
    byId('agent', HTMLElement).textContent = conversation?.agent ?? ''
    document.title = `${title} · OpenClaw`
  }
}
