// @ts-check
/**
 * The entry of the channels page: shows how the channels do, again every few seconds while somebody looks, and does what is asked of it. Who
 * is not signed in is sent to the first page.
 */
import { Problem, request } from './api.js'
import { ChannelCard } from './channel-card.js'
import { byId } from './element.js'
import { Linking } from './linking.js'

/**
 * @typedef {import('./channel-card.js').ChannelDocument} ChannelDocument
 * @typedef {import('./channel-card.js').PairingDocument} PairingDocument
 */

const AGAIN_MS = 5_000

class ChannelsPage {
  #list = byId('channels', HTMLUListElement)
  #status = byId('channels-status', HTMLElement)
  #linking = new Linking(() => void this.refresh())
  /** @type {Map<string, ChannelCard>} */ #cards = new Map()

  start() {
    void this.refresh()
    setInterval(() => {
      if (document.visibilityState === 'visible') void this.refresh()
    }, AGAIN_MS)
    document.addEventListener('visibilitychange', () => void this.refresh())
  }

  async refresh() {
    try {
      const channels = /** @type {ChannelDocument[]} */ (await rows('/v1/channels'))
      const pairings = await Promise.all(channels.map((channel) => pairingsOf(channel)))
      this.#show(channels, pairings)
      this.#say(channels.length === 0 ? 'There are no channels.' : '')
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      if (error.status === 401) location.replace('./')
      else this.#say(error.message)
    }
  }

  /** @param {readonly ChannelDocument[]} channels @param {readonly (readonly PairingDocument[])[]} pairings */
  #show(channels, pairings) {
    for (const [name, card] of this.#cards) {
      if (channels.some((channel) => channel.name === name)) continue
      card.node.remove()
      this.#cards.delete(name)
    }
    channels.forEach((channel, at) => {
      const known = this.#cards.get(channel.name)
      const card = known ?? this.#card(channel.name)
      card.update(channel, pairings[at] ?? [])
      if (known === undefined) this.#list.append(card.node)
    })
  }

  /** @param {string} name */
  #card(name) {
    const path = pathOf(name)
    /** @param {'POST' | 'DELETE'} method @param {string} what */
    const change = async (method, what) => {
      await request(method, `${path}/${what}`)
      await this.refresh()
    }
    const card = new ChannelCard(name, {
      onPause: (isPaused) => change('POST', isPaused ? 'pause' : 'resume'),
      onLink: () => this.#linking.open(name),
      onApprove: (code) => change('POST', `pairings/${encodeURIComponent(code)}/approve`),
      onDeny: (code) => change('DELETE', `pairings/${encodeURIComponent(code)}`),
    })
    this.#cards.set(name, card)
    return card
  }

  /** @param {string} text */
  #say(text) {
    this.#status.textContent = text
    this.#status.hidden = text === ''
  }
}

/** @param {string} name */
const pathOf = (name) => `/v1/channels/${encodeURIComponent(name)}`

/** @param {ChannelDocument} channel @returns {Promise<readonly PairingDocument[]>} */
async function pairingsOf({ name, open_pairings }) {
  return open_pairings === 0 ? [] : /** @type {PairingDocument[]} */ (await rows(`${pathOf(name)}/pairings`))
}

/** @param {string} path @returns {Promise<unknown[]>} */
async function rows(path) {
  const page = await request('GET', path)
  return typeof page === 'object' && page !== null && 'data' in page && Array.isArray(page.data) ? page.data : []
}

new ChannelsPage().start()
