/** Schemas of strangers: what they may say, and what they may cost. */
import type { JsonObject, JsonValue } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { costFault } from '../../../skills/descriptor/schema-cost.ts'
import { faultsOf, parsed, pointersOf, SEED } from './given.ts'
import { Validators } from '../../../skills/descriptor/validator.ts'

const outputs = (schema: JsonObject): JsonObject => ({ ...SEED, outputs: { type: 'object', ...schema } })
const at = async (schema: JsonObject): Promise<readonly string[]> => pointersOf(outputs(schema))

/** `allOf: [next, next]`, so many times. */
function doubling(levels: number): JsonObject {
  const defs: { [name: string]: JsonValue } = { [`d${levels}`]: { type: 'object' } }
  for (let i = 0; i < levels; i++) defs[`d${i}`] = { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] }
  return { $ref: '#/$defs/d0', $defs: defs }
}

describe("a stranger's schema", () => {
  test('has no more of patterns than can be made in a moment', async () => {
    const patternProperties = Object.fromEntries(Array.from({ length: 1_900 }, (_, i) => [`a{900}${i}`, true]))
    const [fault, ...more] = await faultsOf(outputs({ patternProperties }))
    assert.match(fault?.detail ?? '', /too large together/)
    assert.deepEqual(more, [])
    const few = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`^a{1,100}${i}$`, true]))
    assert.deepEqual(await faultsOf(outputs({ patternProperties: few })), [])
  })

  test('refers to nothing but itself', async () => {
    for (const ref of [
      'https://example.com/x',
      'file:///etc/passwd',
      'other.json',
      '#anchor',
      '#/nowhere',
      '#/default',
      '#/$defs',
      '#/%zz',
      'http://json-schema.org/draft-07/schema#',
    ])
      assert.deepEqual(
        await at({ default: { type: 'string' }, $defs: { a: {} }, properties: { a: { $ref: ref } } }),
        ['#/outputs/properties/a/$ref'],
        ref,
      )
    assert.deepEqual(
      await at({ $defs: { 'a/b~c': {} }, properties: { a: { $ref: '#/$defs/a~1b~0c' }, b: { $ref: '#/properties/a' } } }),
      [],
    )
  })

  test('has only keywords of the dialect that cannot reach out', async () => {
    for (const keyword of [
      '$dynamicRef',
      '$dynamicAnchor',
      '$recursiveRef',
      '$anchor',
      '$vocabulary',
      'dependencies',
      'nullable',
      'discriminator',
      '$data',
      'propertees',
    ])
      assert.deepEqual(await at({ [keyword]: '#/x' }), [`#/outputs/${keyword}`], keyword)
    assert.match((await faultsOf(outputs({ propertees: {} })))[0]?.detail ?? '', /did you mean "properties"/)
    assert.deepEqual(await at({ properties: { a: { $id: 'https://example.com' } } }), ['#/outputs/properties/a/$id'])
    assert.deepEqual(await at({ $schema: 'http://json-schema.org/draft-07/schema#' }), ['#/outputs/$schema'])
    assert.deepEqual(await at({ 'x-order': 1, $id: 'https://example.com/me', $schema: 'https://json-schema.org/draft/2020-12/schema' }), [])
    assert.deepEqual(await at({ properties: { a: { format: 'regex' } } }), ['#/outputs/properties/a/format'])
  })

  test('is a schema', async () => {
    for (const schema of [
      { type: 'text' },
      { properties: { a: { minLength: 'x' } } },
      { required: 'a' },
      { properties: [] },
      { enum: {} },
      { allOf: [] },
      { pattern: 3 },
    ])
      assert.deepEqual((await at(schema)).length, 1, JSON.stringify(schema))
    assert.deepEqual(await at({ properties: { a: 'string' } }), ['#/outputs/properties/a'])
  })

  test('is bounded in size and depth', async () => {
    let deep: JsonObject = { type: 'string' }
    for (let i = 0; i < 20; i++) deep = { type: 'object', properties: { a: deep } }
    assert.match((await faultsOf(outputs({ properties: { a: deep } })))[0]?.detail ?? '', /nested/)
    assert.match((await faultsOf(outputs({ description: 'x'.repeat(70_000) })))[0]?.detail ?? '', /65536 bytes/)
  })

  test('has only patterns that are matched in linear time', async () => {
    assert.deepEqual(await at({ properties: { a: { pattern: '(?=x)' } } }), ['#/outputs/properties/a/pattern'])
    assert.deepEqual(await at({ patternProperties: { '(a)\\1': {} } }), ['#/outputs/patternProperties/(a)\\1'])
    assert.deepEqual(await at({ properties: { a: { pattern: '^(a+)+$' } } }), [])
  })

  test('compares each with each only where they are few or simple', async () => {
    assert.deepEqual(await at({ properties: { a: { uniqueItems: true } } }), ['#/outputs/properties/a/uniqueItems'])
    assert.deepEqual(
      await at({ properties: { a: { uniqueItems: true, maxItems: 100 }, b: { uniqueItems: true, items: { type: 'string' } } } }),
      [],
    )
  })
})

describe('what a schema may cost', () => {
  test('references that meet again may not double the work without end', async () => {
    assert.equal(costFault(doubling(5)), null)
    assert.match(costFault(doubling(20)) ?? '', /too often/)
    assert.match(costFault(doubling(500)) ?? '', /too often/)
    assert.match((await faultsOf(outputs(doubling(30))))[0]?.detail ?? '', /too often/)
  })

  test('recursion along two ways is refused, along one, or to different members, it is not', () => {
    const self = { $ref: '#' }
    assert.equal(costFault({ properties: { left: self, right: self } }), null)
    assert.equal(costFault({ items: self, properties: { a: self } }), null)
    assert.match(costFault({ allOf: [{ properties: { a: self } }, { properties: { a: self } }] }) ?? '', /too often/)
    assert.match(costFault({ items: self, contains: self }) ?? '', /too often/)
    assert.match(costFault({ properties: { a: self }, patternProperties: { '^a': self } }) ?? '', /too often/)
  })

  test('recursion that does not go into the value is refused', () => {
    assert.match(costFault({ $ref: '#' }) ?? '', /never ends/)
    assert.match(costFault({ anyOf: [{ $ref: '#/$defs/a' }], $defs: { a: { not: { $ref: '#' } } } }) ?? '', /never ends/)
    assert.match(costFault({ items: { $ref: '#/$defs/a' }, $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } } }) ?? '', /never ends/)
  })

  test('endless lists of names or alternatives are refused', () => {
    const names = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`n${i}`, {}]))
    assert.match(costFault({ properties: names }) ?? '', /long lists/)
    assert.equal(costFault({ enum: Array.from({ length: 600 }, (_, i) => `zone ${i}`) }), null)
  })
})

describe('validators', () => {
  const check = async (schema: JsonObject, value: JsonValue, validators = new Validators()): Promise<readonly string[]> => {
    const descriptor = { ...(await parsed(SEED)), outputs: schema }
    return (await validators.check({ digest: JSON.stringify(schema), descriptor }, 'outputs', value)).map(
      ({ pointer, detail }) => `${pointer} ${detail}`,
    )
  }

  test('say where a value is wrong, ten times at most', async () => {
    const validators = new Validators()
    const seed = { digest: 'sha256-1', descriptor: await parsed(SEED) }
    assert.deepEqual(await validators.check(seed, 'inputs', { userId: 'u1' }), [])
    assert.deepEqual(await validators.check(seed, 'inputs', { userid: 1 }), [
      { pointer: '#/userId', detail: 'is missing' },
      { pointer: '#/userid', detail: 'is not a known member; did you mean "userId"?' },
    ])
    assert.deepEqual(await validators.check(seed, 'inputs', null), [{ pointer: '#', detail: 'must be object' }])
    assert.equal(
      (
        await check(
          { items: { type: 'string' } },
          Array.from({ length: 50 }, () => 1),
        )
      ).length,
      10,
    )
    assert.equal(
      (
        await check(
          { items: { type: 'string' } },
          Array.from({ length: 5_000 }, () => 1),
        )
      ).length,
      1,
    )
  })

  test('hold formats to their form, and texts of a format to a length', async () => {
    const cases: [string, string, string][] = [
      ['email', 'a@b.example', 'a@'],
      ['date', '2026-02-28', '2026-02-30'],
      ['date-time', '2026-01-01T00:00:00Z', '2026-01-01'],
      ['uri', 'https://a.example/x', 'x'],
      ['uuid', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6', 'f81d'],
      ['ipv6', '::1', ':::'],
      ['hostname', 'a.example', '-a'],
    ]
    for (const [format, good, bad] of cases) {
      assert.deepEqual(await check({ type: 'string', format }, good), [], format)
      assert.equal((await check({ type: 'string', format }, bad)).length, 1, format)
    }
    assert.equal((await check({ format: 'uri' }, `https://a.example/${'x'.repeat(3_000)}`)).length, 1)
  })

  test('end in time whatever the value', async () => {
    const began = performance.now()
    const long = 'a'.repeat(200_000)
    assert.match((await check({ pattern: '^(a|aa)+$', type: 'string' }, `${long}!`))[0] ?? '', /could not be checked|must match/)
    assert.match(
      (
        await check(
          { items: { not: { pattern: '(a?){300}b' } } },
          Array.from({ length: 10_000 }, () => 'a'.repeat(100)),
        )
      )[0] ?? '',
      /too much text/,
    )
    for (const format of ['email', 'uri', 'uri-reference', 'hostname', 'date-time', 'duration', 'ipv6', 'json-pointer'])
      await check(
        { items: { format } },
        Array.from({ length: 500 }, () => `a@${'a-'.repeat(1_000)}`),
      )
    assert.match(
      (
        await check(
          {},
          Array.from({ length: 250_000 }, () => 1),
        )
      )[0] ?? '',
      /more than/,
    )
    const ms = performance.now() - began
    assert.ok(ms < 8_000, `it took ${ms} ms`)
  })

  test('are fewer where the schema looks at each of them often', async () => {
    const many = { items: { enum: Array.from({ length: 1_900 }, (_, i) => `e${i}`) } }
    const texts = (count: number): JsonValue => Array.from({ length: count }, () => 'e7')
    assert.match((await check(many, texts(199_000)))[0] ?? '', /more than 2\d{4} values/)
    assert.deepEqual(await check(many, texts(20_000)), [])
    assert.deepEqual(await check({ items: { type: 'string' } }, texts(199_000)), [])
  })

  test('refuse what would poison whoever reads it, and what is nested beyond all bounds', async () => {
    assert.match((await check({}, JSON.parse('{"a":{"__proto__":1}}')))[0] ?? '', /__proto__/)
    assert.deepEqual(await check({}, JSON.parse('{"constructor": 3}')), [])
    let deep: JsonValue = 1
    for (let i = 0; i < 100; i++) deep = { a: deep }
    assert.match((await check({ properties: { a: { $ref: '#' } } }, deep))[0] ?? '', /nested/)
  })

  test('keep no more of them than they may', async () => {
    const validators = new Validators({ max: 3 })
    for (let i = 0; i < 10; i++) await check({ maxLength: i }, 'x', validators)
    assert.equal(validators.size, 3)
  })
})
