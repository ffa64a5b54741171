// @ts-check
/**
 * Reads the server-sent events (WHATWG HTML §9.2.6) of an answer to POST, which the browser's own `EventSource` cannot ask for. The gateway
 * writes one line of JSON an event.
 */
import { Problem } from './api.js'

/** @typedef {{ event: string, data: Record<string, unknown> }} ReadEvent */

/**
 * @param {string} path
 * @param {{ body: unknown, signal: AbortSignal }} options
 * @returns {AsyncGenerator<ReadEvent>}
 */
export async function* readEvents(path, { body, signal }) {
  const headers = { accept: 'text/event-stream', 'content-type': 'application/json', 'X-OpenClaw-CSRF': '1' }
  /** @type {RequestInit} */
  const init = { method: 'POST', headers, body: JSON.stringify(body), signal, credentials: 'same-origin', cache: 'no-store' }
  const response = await fetch(path, init).catch((error) => {
    if (signal.aborted) throw error
    throw new Problem(0, 'The gateway does not answer.')
  })
  if (!response.ok || response.body === null) throw new Problem(response.status, await detailOf(response))
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const blocks = (rest + read.value).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = eventOf(block.split('\n'))
      if (event !== null) yield event
    }
  }
}

/** @param {readonly string[]} lines @returns {ReadEvent | null} null: a sign of life */
function eventOf(lines) {
  /** @param {string} name */
  const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
  const data = field('data')
  return data === undefined ? null : { event: field('event') ?? 'message', data: JSON.parse(data) }
}

/** @param {Response} response */
async function detailOf(response) {
  /** @type {unknown} */
  const value = await response.json().catch(() => null)
  const isProblem = typeof value === 'object' && value !== null && 'detail' in value && typeof value.detail === 'string'
  return isProblem ? String(value.detail) : `The gateway answered ${response.status}.`
}
