/** The time, by the gateway's clock. */
import { INSIDE } from './in-process.ts'
import type { InProcessSkill } from './in-process.ts'

export const clock: InProcessSkill = {
  descriptor: {
    ...INSIDE,
    id: 'clock',
    version: '1.0.0',
    description: 'Tells the current date and time in UTC.',
    inputs: { type: 'object', properties: {}, additionalProperties: false },
    outputs: {
      type: 'object',
      properties: { now: { type: 'string', description: 'ISO 8601, UTC' }, epoch_ms: { type: 'integer' } },
      required: ['now', 'epoch_ms'],
      additionalProperties: false,
    },
    effect: 'none',
    timeoutMs: 1_000,
  },
  run: (_input, { clock }) => {
    const now = clock.now()
    return { now: new Date(now).toISOString(), epoch_ms: Math.floor(now) }
  },
}
