/** What others say of failures is stored, shown and told without the secrets that are known. */
import assert from 'node:assert/strict'
import { ModelError } from '#contract'
import { inbound } from '../../support/hub.ts'
import type { Hub } from '../../support/hub.ts'
import { counted, withHub } from './delivering.ts'

const redact = (text: string): string => text.replaceAll('hunter22', '***')

async function onlyLetter(hub: Hub, message: string): Promise<void> {
  const letters = await hub.store.deadLetters.list({ tenant: 'default' }, null, 9)
  assert.deepEqual(
    letters.map(({ reason }) => reason.message),
    [message],
  )
  assert.doesNotMatch(JSON.stringify(hub.events), /hunter22/)
}

withHub(
  'a turn that a model ended',
  { redact, think: () => Promise.reject(new ModelError('No hunter22 here.', { code: 'MODEL_REFUSED', retryable: false })) },
  async (hub) => {
    await hub.became(await hub.say('hello'), 'dead')
    await onlyLetter(hub, 'No *** here.')
  },
)

withHub('a message that its channel could not read', { redact }, async (hub) => {
  await hub.ingress.accept('wire', inbound('?', { dead: { code: 'UNREADABLE', message: 'No hunter22 here.' } }), {})
  await onlyLetter(hub, 'No *** here.')
})

withHub('a part that failed after it was sent', { redact, send: async () => ({ id: 'm-1' }) }, async (hub) => {
  await hub.became(await hub.say('a'), 'done')
  await counted(hub, { sent: 1 })
  await hub.host.update('m-1', { state: 'failed', failure: { code: 'GONE', message: 'No hunter22 here.' } })
  await onlyLetter(hub, 'No *** here.')
})
