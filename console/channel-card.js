// @ts-check
/**
 * One channel as the page shows it: its state and why, what an operator can do with it, and strangers who ask to be let in. What is shown is
 * changed in place, so that the focus stays where it is.
 */
import { element } from './element.js'

/**
 * @typedef {{ name: string, kind: string, state: string, reason: string | null, paused: boolean, last_inbound_at: string | null,
 *   last_sent_at: string | null, capabilities: { link: boolean }, access: { access: string, group_access: string } | null,
 *   open_pairings: number }} ChannelDocument
 * @typedef {{ code: string, sender: string, aliases: readonly string[] }} PairingDocument
 * @typedef {{ onPause: (isPaused: boolean) => Promise<void>, onLink: () => void, onApprove: (code: string) => Promise<void>,
 *   onDeny: (code: string) => Promise<void> }} Actions
 */

/** @type {Record<string, string>} */
const STATES = { open: 'Open', connecting: 'Connecting', degraded: 'Degraded', linking: 'Linking', stopped: 'Stopped' }

export class ChannelCard {
  #state = element('span', { class: 'state' })
  #kind = element('span', { class: 'kind' })
  #why = element('p', { class: 'why' })
  #facts = element('p', { class: 'fine facts' })
  #message = element('p', { class: 'message', role: 'alert' })
  #pause = element('button', { type: 'button', class: 'quiet' })
  #link = element('button', { type: 'button', class: 'quiet' }, 'Link a phone')
  #pairings = element('ul', { class: 'pairings' })
  #asking = element('div', { class: 'asking' }, element('h3', {}, 'Asking to be let in'), this.#pairings)
  #isPaused = false
  #shown = ''
  #actions

  /** @param {string} name @param {Actions} actions */
  constructor(name, actions) {
    this.#actions = actions
    this.#pause.addEventListener('click', () => void this.#do(this.#pause, () => actions.onPause(!this.#isPaused)))
    this.#link.addEventListener('click', () => actions.onLink())
    const head = element('div', { class: 'channel-head' }, element('h2', {}, name), this.#kind, this.#state)
    const buttons = element('div', { class: 'actions' }, this.#pause, this.#link)
    this.node = element('li', { class: 'channel' }, head, this.#why, this.#facts, this.#asking, buttons, this.#message)
  }

  /** @param {ChannelDocument} channel @param {readonly PairingDocument[]} pairings */
  update(channel, pairings) {
    this.#isPaused = channel.paused
    this.#kind.textContent = channel.kind === channel.name ? '' : channel.kind
    this.#state.textContent = channel.paused
      ? `${STATES[channel.state] ?? channel.state}, paused`
      : (STATES[channel.state] ?? channel.state)
    this.#state.dataset['state'] = channel.paused && channel.state === 'open' ? 'paused' : channel.state
    this.#why.textContent = channel.reason ?? ''
    this.#why.hidden = channel.reason === null
    this.#facts.textContent = [
      `Last in ${timeText(channel.last_inbound_at)}`,
      `last out ${timeText(channel.last_sent_at)}`,
      channel.access === null
        ? 'reached with keys only'
        : `direct messages: ${channel.access.access}, groups: ${channel.access.group_access}`,
    ].join(' · ')
    this.#pause.textContent = channel.paused ? 'Resume' : 'Pause'
    this.#pause.setAttribute('aria-label', `${channel.paused ? 'Resume' : 'Pause'} ${channel.name}`)
    this.#link.setAttribute('aria-label', `Link a phone to ${channel.name}`)
    this.#link.hidden = !channel.capabilities.link
    this.#asking.hidden = pairings.length === 0
    const shown = JSON.stringify(pairings)
    if (shown === this.#shown) return
    this.#shown = shown
    this.#pairings.replaceChildren(...pairings.map((pairing) => this.#pairing(pairing)))
  }

  /** @param {PairingDocument} pairing */
  #pairing({ code, sender, aliases }) {
    const approve = element('button', { type: 'button', class: 'quiet', 'aria-label': `Let ${sender} in` }, 'Let in')
    const deny = element('button', { type: 'button', class: 'quiet', 'aria-label': `Deny ${sender}` }, 'Deny')
    approve.addEventListener('click', () => void this.#do(approve, () => this.#actions.onApprove(code)))
    deny.addEventListener('click', () => void this.#do(deny, () => this.#actions.onDeny(code)))
    const who = element('span', { class: 'who', dir: 'auto' }, [sender, ...aliases].join(', '))
    return element('li', {}, who, element('code', {}, code), approve, deny)
  }

  /** @param {HTMLButtonElement} button @param {() => Promise<void>} act */
  async #do(button, act) {
    button.disabled = true
    this.#message.textContent = ''
    try {
      await act()
    } catch (error) {
      this.#message.textContent = error instanceof Error ? error.message : String(error)
    } finally {
      button.disabled = false
    }
  }
}

/** @param {string | null} iso */
const timeText = (iso) => (iso === null ? 'never' : new Date(iso).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' }))
