/** What may change within a major. */
import type { JsonObject } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { incompatibilities } from '../../../skills/descriptor/compatible.ts'
import { parsed, SEED } from './given.ts'

async function faults(side: 'inputs' | 'outputs', before: JsonObject, after: JsonObject): Promise<readonly string[]> {
  const found = incompatibilities(await parsed({ ...SEED, [side]: before }), await parsed({ ...SEED, [side]: after }))
  return found.map(({ pointer }) => pointer)
}

const text = { type: 'string' }
const closed = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  additionalProperties: false,
  ...more,
})
const open = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({ type: 'object', properties, ...more })

describe('a later version of the same major', () => {
  test('may say the same in other words, and take or give more', async () => {
    const fine: ['inputs' | 'outputs', JsonObject, JsonObject][] = [
      ['inputs', { a: text }, { a: { type: 'string', description: 'better' } }],
      ['inputs', { a: text }, { a: text, b: { type: 'number', optional: true } }],
      ['inputs', { a: text }, { a: { type: ['string', 'null'] } }],
      ['inputs', { a: text }, { a: { ...text, optional: true } }],
      ['inputs', { a: { type: 'integer', minimum: 1, maximum: 5 } }, { a: { type: 'number', maximum: 9 } }],
      ['inputs', { a: { enum: ['x'] } }, { a: { enum: ['x', 'y'] } }],
      ['inputs', { a: { ...text, pattern: '^x' } }, { a: text }],
      ['inputs', open({ a: text }), open({ a: text, b: text })],
      ['inputs', closed({ a: text }), open({ a: text })],
      ['inputs', open({ a: { $ref: '#/$defs/t' } }, { $defs: { t: text } }), open({ a: text })],
      ['outputs', { a: text }, { a: text, b: text }],
      ['outputs', { a: { type: ['string', 'null'] } }, { a: text }],
      ['outputs', { a: { type: 'number' } }, { a: { type: 'integer' } }],
      ['outputs', open({ a: text }), open({ a: text }, { required: ['a'] })],
      ['outputs', { a: { type: 'array', items: text } }, { a: { type: 'array', items: { type: 'string', maxLength: 3 } } }],
      ['outputs', open({ next: { $ref: '#' } }), open({ next: { $ref: '#' }, more: text })],
    ]
    for (const [side, before, after] of fine) assert.deepEqual(await faults(side, before, after), [], JSON.stringify([before, after]))
  })

  test('may not want more of an input', async () => {
    const broken: [JsonObject, JsonObject, string][] = [
      [{ a: text }, { a: text, b: text }, '/properties/b'],
      [{ a: { ...text, optional: true } }, { a: text }, '/properties/a'],
      [{ a: text }, {}, '/properties/a'],
      [{ a: text }, { a: { type: 'number' } }, '/properties/a/type'],
      [{ a: {} }, { a: text }, '/properties/a/type'],
      [{ a: { type: ['string', 'null'] } }, { a: text }, '/properties/a/type'],
      [{ a: { type: 'number' } }, { a: { type: 'integer' } }, '/properties/a/type'],
      [{ a: { enum: ['x', 'y'] } }, { a: { enum: ['x'] } }, '/properties/a/enum'],
      [{ a: text }, { a: { const: 'x' } }, '/properties/a/enum'],
      [{ a: { ...text, maxLength: 5 } }, { a: { ...text, maxLength: 4 } }, '/properties/a/maxLength'],
      [{ a: text }, { a: { ...text, minLength: 1 } }, '/properties/a/minLength'],
      [{ a: text }, { a: { ...text, pattern: '^x' } }, '/properties/a/pattern'],
      [{ a: text }, { a: { ...text, format: 'email' } }, '/properties/a/format'],
      [{ a: { type: 'array' } }, { a: { type: 'array', items: text } }, '/properties/a/items/type'],
      [open({ a: text }), closed({ a: text }), '/additionalProperties'],
      [
        open({}, { additionalProperties: { type: 'number' } }),
        open({ b: text }, { additionalProperties: { type: 'number' } }),
        '/properties/b/type',
      ],
      [
        open({ a: { b: {} } as JsonObject }.a === undefined ? {} : { a: open({ b: text }) }),
        open({ a: closed({ b: text, c: text }, { required: ['c'] }) }),
        '/properties/a/properties/c',
      ],
      [
        open({ a: { $ref: '#/$defs/t' } }, { $defs: { t: {} } }),
        open({ a: { $ref: '#/$defs/t' } }, { $defs: { t: text } }),
        '/properties/a/type',
      ],
      [
        open({ a: { anyOf: [{ $ref: '#/$defs/t' }] } }, { $defs: { t: {} } }),
        open({ a: { anyOf: [{ $ref: '#/$defs/t' }] } }, { $defs: { t: text } }),
        '/properties/a/anyOf',
      ],
      [open({ a: { oneOf: [text, { type: 'null' }] } }), open({ a: { oneOf: [text] } }), '/properties/a/oneOf'],
    ]
    for (const [before, after, pointer] of broken) {
      const found = await faults('inputs', before, after)
      assert.ok(found.includes(`#/inputs${pointer}`), JSON.stringify([before, after, found]))
    }
  })

  test('may not give less, or other things', async () => {
    const broken: [JsonObject, JsonObject, string][] = [
      [{ a: text, b: text }, { a: text }, '/properties/b'],
      [open({ a: text }, { required: ['a'] }), open({ a: text }), '/properties/a'],
      [open({ a: text }), open({}), '/properties/a'],
      [{ a: text }, { a: { type: ['string', 'null'] } }, '/properties/a/type'],
      [{ a: text }, { a: {} }, '/properties/a/type'],
      [{ a: { enum: ['x'] } }, { a: { enum: ['x', 'y'] } }, '/properties/a/enum'],
      [{ a: { type: 'number', maximum: 5 } }, { a: { type: 'number' } }, '/properties/a/maximum'],
      [{ a: { type: 'array', items: text } }, { a: { type: 'array' } }, '/properties/a/items/type'],
      [{ a: { ...text, format: 'email' } }, { a: text }, '/properties/a/format'],
      [{ a: open({ b: text }) }, { a: open({ b: { type: 'number' } }) }, '/properties/a/properties/b/type'],
    ]
    for (const [before, after, pointer] of broken) {
      const found = await faults('outputs', before, after)
      assert.ok(found.includes(`#/outputs${pointer}`), JSON.stringify([before, after, found]))
    }
  })

  test('may not differ in what cannot be judged', async () => {
    const all = { allOf: [{ minProperties: 1 }] }
    assert.deepEqual(await faults('outputs', open({}, all), open({}, { allOf: [{ minProperties: 2 }] })), ['#/outputs/allOf'])
    assert.deepEqual(await faults('inputs', open({}, { if: {}, else: {} }), open({}, { if: {}, else: { minProperties: 1 } })), [
      '#/inputs/else',
    ])
    assert.deepEqual(await faults('inputs', open({}, all), open({}, all)), [])
  })
})
