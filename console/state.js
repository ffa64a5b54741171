// @ts-check
/**
 * The state of a message in words: what its chip says, why, and what happens next. `sending` and `refused` are this page's
 * own, before and instead of the gateway's states.
 */

/**
 * @typedef {import('./protocol.js').MessageStatus | 'sending' | 'refused'} State
 * @typedef {{ state: State, why: string, dueAt: number | null, deadLetterId: string | null }} Condition
 */

/** @type {Record<State, string>} */
const LABELS = {
  sending: 'Sending',
  queued: 'Queued',
  running: 'Running',
  waiting: 'Waiting',
  retrying: 'Retrying',
  done: 'Done',
  dead: 'Dead letter',
  refused: 'Not sent',
}

/** @param {State} state */
export const labelOf = (state) => LABELS[state] ?? state

/** @param {State} state */
export const isFinal = (state) => state === 'done' || state === 'dead' || state === 'refused'

/**
 * One sentence or two beside the chip; empty when the chip says it all.
 * @param {Condition} condition
 * @returns {string}
 */
export function explain({ state, why, dueAt, deadLetterId }) {
  const when = dueAt === null ? '' : new Date(dueAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
  switch (state) {
    case 'retrying':
      return sentences(why, when && `Next try at ${when}.`)
    case 'waiting':
      return sentences(why, when && `Goes on at ${when}.`)
    case 'dead':
      return sentences(why || 'Given up.', deadLetterId === null ? 'It is kept whole and can be replayed.' : 'Kept whole as')
    case 'done':
    case 'refused':
      return why
    case 'sending':
    case 'queued':
    case 'running':
      return ''
  }
}

/** @param {...string} parts */
const sentences = (...parts) =>
  parts
    .filter((part) => part !== '')
    .map((part, index, all) => (index < all.length - 1 && !/[.!?…]$/.test(part) ? `${part}.` : part))
    .join(' ')
