// @ts-check
/** The page's entry: signs in, chats until signed out, and begins again. The only file that runs when it is loaded. */
import { chat } from './chat.js'
import { byId } from './element.js'
import { signIn, takeCode } from './session.js'

let start = { code: takeCode(), notice: '' }
addEventListener('hashchange', () => {
  // A start-up link that is opened while the form is shown.
  if (!byId('sign-in', HTMLElement).hidden && location.hash.startsWith('#code=')) location.reload()
})
for (;;) {
  const identity = await signIn(start)
  start = await chat(identity)
}
