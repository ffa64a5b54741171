// @ts-check
/**
 * The dialog in which a channel is linked to a phone: the code to be scanned, drawn anew each time it changes, or the one that is typed into
 * the phone. Closing it ends the linking.
 */
import { Problem } from './api.js'
import { byId } from './element.js'
import { readEvents } from './event-reader.js'

export class Linking {
  #dialog = byId('linking', HTMLDialogElement)
  #title = byId('linking-title', HTMLElement)
  #picture = byId('linking-qr', HTMLImageElement)
  #code = byId('linking-code', HTMLElement)
  #status = byId('linking-status', HTMLElement)
  #form = byId('linking-form', HTMLFormElement)
  #phone = byId('linking-phone', HTMLInputElement)
  #running = new AbortController()
  #channel = ''
  #onEnd

  /** @param {() => void} onEnd */
  constructor(onEnd) {
    this.#onEnd = onEnd
    byId('linking-close', HTMLButtonElement).addEventListener('click', () => this.#dialog.close())
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      const phone = this.#phone.value.trim()
      if (phone !== '') void this.#run({ phone })
    })
    this.#dialog.addEventListener('close', () => {
      this.#running.abort()
      this.#onEnd()
    })
  }

  /** @param {string} channel */
  open(channel) {
    this.#channel = channel
    this.#title.textContent = `Link ${channel}`
    this.#phone.value = ''
    this.#dialog.showModal()
    void this.#run({})
  }

  /** @param {{ phone?: string }} body */
  async #run(body) {
    this.#running.abort()
    const { signal } = (this.#running = new AbortController())
    this.#show({ status: 'Asking for a code…' })
    try {
      for await (const { event, data } of readEvents(`/v1/channels/${encodeURIComponent(this.#channel)}/link`, { body, signal })) {
        if (signal.aborted) return
        this.#step(event, data)
        if (event !== 'qr' && event !== 'code') return
      }
      this.#show({ status: 'The gateway ended it. Close this and try again.' })
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Problem)) throw error
      this.#show({ status: error.message })
    }
  }

  /** @param {string} event @param {Record<string, unknown>} data */
  #step(event, data) {
    const word = (/** @type {string} */ name) => (typeof data[name] === 'string' ? data[name] : '')
    if (event === 'qr') this.#show({ svg: word('svg'), status: 'Scan it with the phone: Settings, Linked devices, Link a device.' })
    else if (event === 'code') this.#show({ code: word('data'), status: 'Type this code into the phone.' })
    else if (event === 'done') this.#show({ status: `Linked as ${word('as')}.` })
    else this.#show({ status: word('why') || word('message') || 'It did not work.' })
  }

  /** @param {{ svg?: string, code?: string, status: string }} shown */
  #show({ svg = '', code = '', status }) {
    this.#picture.hidden = svg === ''
    // As an image nothing in it can run.
    if (svg !== '') this.#picture.src = `data:image/svg+xml,${encodeURIComponent(svg)}`
    this.#code.hidden = code === ''
    this.#code.textContent = code
    this.#status.textContent = status
  }
}
