/** Says what it is told; for trying out and for tests. */
import type { JsonValue } from '#contract'
import { isJsonObject } from '#contract'
import { INSIDE } from './in-process.ts'
import type { InProcessSkill } from './in-process.ts'

export const echo: InProcessSkill = {
  descriptor: {
    ...INSIDE,
    id: 'echo',
    version: '1.0.0',
    description: 'Answers with the text it is given.',
    inputs: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false },
    outputs: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false },
    effect: 'idempotent',
    timeoutMs: 1_000,
  },
  run: (input: JsonValue) => ({ text: isJsonObject(input) ? (input['text'] ?? '') : '' }),
}
