// @ts-check
/**
 * Who is looking at the page. The start-up link carries a one-time code in its fragment, which is taken out of the address
 * before anything else happens and exchanged for an HttpOnly cookie; without one, a form takes an API key once. Neither is
 * kept anywhere by this page, and no address or token is ever read from the URL.
 */
import { Problem, request } from './api.js'
import { byId } from './element.js'

/** @typedef {import('./protocol.js').Identity} Identity */

const RETRY_MS = 2_000
const OLD_LINK = 'That sign-in link was already used or has expired. Sign in with an API key instead.'
const WRONG_KEY = 'That key is not known here. Check that the whole key was copied.'

/**
 * Takes the one-time code out of the address, and out of the history with it.
 * @returns {string | null}
 */
export function takeCode() {
  const found = /^#code=([^&]*)$/.exec(location.hash)
  if (!found) return null
  history.replaceState(null, '', location.pathname)
  try {
    return decodeURIComponent(found[1] ?? '')
  } catch {
    return ''
  }
}

/**
 * Resolves once somebody is signed in, however long that takes.
 * @param {{ code: string | null, notice: string }} start `notice`: why the form is shown, if it has to be
 * @returns {Promise<Identity>}
 */
export async function signIn({ code, notice }) {
  const refusal = code === null ? '' : await enter({ code }, OLD_LINK)
  for (;;) {
    try {
      return await whoAmI()
    } catch (error) {
      if (error instanceof Problem && error.status !== 401) await unreachable(error)
      else return askForKey(refusal === '' ? notice : refusal)
    }
  }
}

/** @returns {Promise<Identity>} */
export async function whoAmI() {
  return /** @type {Identity} */ (await request('GET', '/v1/whoami'))
}

/**
 * Ends the session on the gateway. The cookie is out of this page's reach, so only the gateway can do it.
 * @returns {Promise<string>} why it did not work; empty when it did
 */
export async function signOut() {
  try {
    await request('DELETE', '/v1/console/session')
    return ''
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return error.status === 401 ? '' : error.message
  }
}

/**
 * @param {{ code: string } | { key: string }} proof
 * @param {string} refused what to say when the proof is worth nothing
 * @returns {Promise<string>} why it did not work; empty when it did
 */
async function enter(proof, refused) {
  try {
    await request('POST', '/v1/console/session', { body: proof })
    return ''
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return error.status >= 400 && error.status < 500 && error.status !== 429 ? refused : error.message
  }
}

/** @param {Problem} problem */
async function unreachable(problem) {
  const splash = byId('splash', HTMLElement)
  splash.hidden = false
  byId('splash-text', HTMLElement).textContent = `${problem.message} Trying again…`
  await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
}

/**
 * @param {string} notice
 * @returns {Promise<Identity>}
 */
async function askForKey(notice) {
  const page = byId('sign-in', HTMLElement)
  const form = byId('sign-in-form', HTMLFormElement)
  const key = byId('sign-in-key', HTMLInputElement)
  const button = byId('sign-in-button', HTMLButtonElement)
  const message = byId('sign-in-message', HTMLElement)
  /** @param {string} text @param {boolean} wrong */
  const say = (text, wrong) => {
    message.textContent = text
    key.setAttribute('aria-invalid', String(wrong))
  }
  byId('splash', HTMLElement).hidden = true
  page.hidden = false
  document.title = 'Sign in · OpenClaw'
  say(notice, false)
  key.focus()
  for (;;) {
    await submitted(form)
    const value = key.value.trim()
    if (value === '') {
      say('Paste the API key first.', true)
      key.focus()
      continue
    }
    button.disabled = true
    const refusal = await enter({ key: value }, WRONG_KEY)
    button.disabled = false
    if (refusal === '') {
      key.value = ''
      page.hidden = true
      return whoAmI()
    }
    say(refusal, true)
    key.select()
    key.focus()
  }
}

/** @param {HTMLFormElement} form */
const submitted = (form) =>
  new Promise((resolve) => {
    form.addEventListener(
      'submit',
      (event) => {
        event.preventDefault()
        resolve(undefined)
      },
      { once: true },
    )
  })
