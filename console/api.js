// @ts-check
/**
 * Calls the gateway's HTTP API with the page's cookie. Every failure is one `Problem`, also when nobody answers, so that
 * callers tell apart what they can do something about.
 */

/** What went wrong (RFC 9457). Status 0: the gateway could not be reached. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   */
  constructor(status, detail) {
    super(detail)
    this.status = status
  }
}

/**
 * @param {'GET' | 'POST' | 'DELETE'} method
 * @param {string} path
 * @param {{ body?: unknown, signal?: AbortSignal }} [options]
 * @returns {Promise<unknown>} the answer's JSON; null when it has none
 */
export async function request(method, path, { body, signal } = {}) {
  /** @type {RequestInit} */
  const init = { method, headers: { accept: 'application/json' }, credentials: 'same-origin', cache: 'no-store', redirect: 'error' }
  if (signal) init.signal = signal
  if (method !== 'GET') init.headers = { ...init.headers, 'X-OpenClaw-CSRF': '1' }
  if (body !== undefined) {
    init.headers = { ...init.headers, 'content-type': 'application/json' }
    init.body = JSON.stringify(body)
  }
  const response = await fetch(path, init).catch((error) => {
    if (signal?.aborted) throw error
    throw new Problem(0, 'The gateway does not answer.')
  })
  const text = await response.text().catch(() => '')
  const value = text === '' ? null : parse(text)
  if (response.ok) return value
  throw new Problem(response.status, detailOf(value) ?? `The gateway answered ${response.status}.`)
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** @param {unknown} value */
function detailOf(value) {
  if (typeof value !== 'object' || value === null) return null
  if ('detail' in value && typeof value.detail === 'string') return value.detail
  return 'title' in value && typeof value.title === 'string' ? value.title : null
}
