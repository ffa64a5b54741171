/** What an author may write, and what becomes of it. */
import type { JsonObject, JsonValue } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseDescriptor } from '../../../skills/descriptor/descriptor.ts'
import { faultsOf, parsed, pointersOf, SEED } from './given.ts'

const withs = (change: JsonObject): JsonObject => ({ ...SEED, ...change })

describe('a descriptor', () => {
  test('of the seed is taken to the letter, with the safe defaults', async () => {
    assert.deepEqual(await parsed(SEED), {
      id: 'profile-enricher',
      version: '1.0.0',
      description: '',
      inputs: {
        type: 'object',
        properties: { userId: { type: 'string', description: 'User identifier' } },
        required: ['userId'],
        additionalProperties: false,
      },
      outputs: {
        type: 'object',
        properties: { profile: { type: 'object', properties: { name: { type: 'string' }, email: { type: 'string' } } } },
        required: ['profile'],
      },
      runtime: { language: 'python', entrypoint: 'enrich_profile.py' },
      effect: 'once',
      timeoutMs: 10_000,
      resources: { memoryMb: 256, cpus: 1, pids: 64, tmpMb: 32 },
      network: { allow: [] },
      secrets: [],
      dependencies: null,
      tests: [],
    })
  })

  test('may say everything there is', async () => {
    const full: JsonObject = {
      $schema: 'https://example.com/skill.json',
      id: 'a.b_c-1',
      version: '2.0.0-rc.1',
      description: 'Fetches.',
      inputs: { type: 'object', properties: { a: { type: 'string', format: 'email' } }, required: ['a'] },
      outputs: { type: 'array', items: { $ref: '#/$defs/x' }, $defs: { x: { enum: [1, 'two', null] } } },
      runtime: { language: 'node', entrypoint: 'src/main.mjs' },
      effect: 'none',
      timeout_ms: 50,
      resources: { memory_mb: 16, cpus: 0.1, pids: 8, tmp_mb: 1 },
      network: {
        allow: [
          'api.example.com',
          '*.example.com',
          'db.example.com:5432',
          '192.0.2.7:8080',
          '[2001:db8::1]:443',
          'searxng',
          'xn--bcher-kva.example',
        ],
      },
      secrets: ['API_KEY', 'A'],
      dependencies: 'package-lock.json',
      tests: [
        { name: 'one', input: { a: 'x@y.zz' }, output: null },
        { name: 'two', input: {}, error: 'invalid_input' },
      ],
    }
    const descriptor = await parsed(full)
    assert.deepEqual(descriptor.tests, full['tests'])
    assert.deepEqual(descriptor.resources, { memoryMb: 16, cpus: 0.1, pids: 8, tmpMb: 1 })
    assert.equal(descriptor.effect, 'none')
    assert.deepEqual(descriptor.outputs, full['outputs'])
  })

  test('tells all faults at once, each with its place and the word that was meant', async () => {
    const faults = await faultsOf({
      ...SEED,
      discription: 'x',
      runtime: { language: 'pyton', entrypoint: 'a.py' },
      timeout_ms: 1,
      secrets: ['low'],
    })
    assert.deepEqual(
      faults.toSorted((a, b) => (a.pointer < b.pointer ? -1 : 1)),
      [
        { pointer: '#/discription', detail: 'is not a known member; did you mean "description"?' },
        { pointer: '#/runtime/language', detail: 'must be one of "python", "node", "shell", "javascript"' },
        { pointer: '#/secrets/0', detail: 'must match pattern "^[A-Z][A-Z0-9_]{0,63}$"' },
        { pointer: '#/timeout_ms', detail: 'must be >= 50' },
      ],
    )
    assert.deepEqual(await faultsOf({ id: 'a', version: '1.0.0', runtime: { language: 'node' } }), [
      { pointer: '#/inputs', detail: 'is missing' },
      { pointer: '#/outputs', detail: 'is missing' },
      { pointer: '#/runtime/entrypoint', detail: 'is missing' },
    ])
  })

  test('that asks for privilege is refused, wherever it asks', async () => {
    for (const name of [
      'privileged',
      'user',
      'mounts',
      'cap_add',
      'devices',
      'volumes',
      'image',
      'security_opt',
      'network_mode',
      'pid',
      'env',
    ]) {
      assert.deepEqual(await pointersOf({ ...SEED, [name]: true }), [`#/${name}`], name)
      assert.deepEqual(
        await pointersOf({ ...SEED, runtime: { language: 'python', entrypoint: 'a.py', [name]: 1 } }),
        [`#/runtime/${name}`],
        name,
      )
      assert.deepEqual(await pointersOf({ ...SEED, resources: { [name]: 1 } }), [`#/resources/${name}`], name)
      assert.deepEqual(await pointersOf({ ...SEED, network: { allow: [], [name]: 1 } }), [`#/network/${name}`], name)
    }
    assert.deepEqual(await pointersOf({ ...SEED, runtime: { language: 'gateway', entrypoint: '' } }), ['#/runtime/language'])
  })

  test('that poisons objects, is nested without end or is no JSON is refused', async () => {
    assert.deepEqual(await pointersOf(JSON.parse(`{"__proto__": {"privileged": true}}`)), ['#/__proto__'])
    assert.deepEqual(await pointersOf({ ...SEED, inputs: { constructor: { type: 'string' } } }), ['#/inputs/constructor'])
    assert.deepEqual(await pointersOf({ ...SEED, tests: [{ name: 'a', input: JSON.parse('{"prototype": 1}'), output: 1 }] }), [
      '#/tests/0/input/prototype',
    ])
    let deep: JsonValue = 1
    for (let i = 0; i < 10_000; i++) deep = [deep]
    assert.match((await faultsOf({ ...SEED, tests: [{ name: 'a', input: deep, output: 1 }] }))[0]?.detail ?? '', /nested/)
    assert.match((await faultsOf({ ...SEED, description: 'half \ud800' }))[0]?.detail ?? '', /surrogate/)
    assert.match((await faultsOf({ ...SEED, timeout_ms: Number.NaN }))[0]?.detail ?? '', /no number/)
    for (const nothing of [null, undefined, 1, 'x', [], [SEED], () => SEED, 1n]) assert.equal((await parseDescriptor(nothing)).ok, false)
    assert.match(
      (await faultsOf({ ...SEED, tests: [{ name: 'a', input: 'x'.repeat(300_000), output: 1 }] }))[0]?.detail ?? '',
      /characters/,
    )
  })

  test('has an entrypoint inside its folder, of its language', async () => {
    const at = (language: string, entrypoint: string): Promise<readonly string[]> =>
      pointersOf(withs({ runtime: { language, entrypoint } }))
    for (const path of [
      '../a.py',
      '/a.py',
      'a/../../b.py',
      '-c.py',
      '.hidden.py',
      'a//b.py',
      './a.py',
      'a\\b.py',
      'a b.py',
      'a\0.py',
      'a.py\n',
      'ä.py',
    ])
      assert.ok((await at('python', path)).includes('#/runtime/entrypoint'), JSON.stringify(path))
    for (const [language, path] of [
      ['python', 'a.js'],
      ['node', 'a.py'],
      ['shell', 'a'],
      ['javascript', 'a.cjs'],
      ['javascript', 'a.ts'],
    ] as const)
      assert.deepEqual(await at(language, path), ['#/runtime/entrypoint'], path)
    for (const [language, path] of [
      ['python', 'a.py'],
      ['node', 'a/b.cjs'],
      ['shell', 'run.sh'],
      ['javascript', '1.mjs'],
    ] as const)
      assert.deepEqual(await at(language, path), [], path)
  })

  test('has a name and a version that say one thing', async () => {
    for (const id of ['', 'A', '-a', 'a/b', 'a b', '../x', 'a'.repeat(65), 'ä'])
      assert.deepEqual(await pointersOf(withs({ id })), ['#/id'], id)
    for (const version of [
      '',
      '1',
      '1.0',
      'v1.0.0',
      '01.0.0',
      '1.0.0+build',
      '1.0.0-',
      '1.0.0-01',
      '1.0.0 ',
      '=1.0.0',
      '99999999999999999.0.0',
    ])
      assert.deepEqual(await pointersOf(withs({ version })), ['#/version'], version)
  })

  test('is not called by a word that stands in the API where its name would stand', async () => {
    for (const id of ['runtime', 'validate']) {
      const [fault, ...others] = await faultsOf(withs({ id }))
      assert.deepEqual([fault?.pointer, others], ['#/id', []])
      assert.match(fault?.detail ?? '', new RegExp(`/v1/skills/${id}`))
    }
    assert.deepEqual(await pointersOf(withs({ id: 'runtimes' })), [])
  })

  test('goes only to named hosts', async () => {
    const refused = [
      '',
      '*',
      '*.com',
      'http://a.example',
      'a.example/x',
      '10.0.0.1',
      '169.254.169.254',
      '::1',
      '[::1]',
      'a.example:0',
      'a.example:99999',
      'user@a.example',
      'bücher.example',
      'A.example',
      'a..example',
      '-a.example',
      'a.*.example',
      '*a.example',
      '0x7f000001',
      '2130706433',
      '127.1',
      'a.example.',
      '[a]:80',
      'a:b:c',
    ]
    for (const entry of refused) assert.deepEqual(await pointersOf(withs({ network: { allow: [entry] } })), ['#/network/allow/0'], entry)
  })

  test('keeps within the bounds of what a skill may use', async () => {
    const bounds: [JsonObject, string][] = [
      [{ timeout_ms: 300_001 }, '#/timeout_ms'],
      [{ resources: { memory_mb: 2_049 } }, '#/resources/memory_mb'],
      [{ resources: { cpus: 5 } }, '#/resources/cpus'],
      [{ resources: { pids: 7 } }, '#/resources/pids'],
      [{ resources: { tmp_mb: 0.5 } }, '#/resources/tmp_mb'],
      [{ tests: Array.from({ length: 51 }, () => ({ name: 'a', input: 1, output: 1 })) }, '#/tests'],
      [{ tests: [{ name: 'a', input: 1 }] }, '#/tests/0'],
      [{ tests: [{ name: 'a', input: 1, output: 1, error: 'timeout' }] }, '#/tests/0'],
      [{ tests: [{ name: 'a', input: 1, error: 'boom' }] }, '#/tests/0/error'],
      [{ dependencies: 'setup.py' }, '#/dependencies'],
      [{ dependencies: '../requirements.txt' }, '#/dependencies'],
      [{ runtime: { language: 'shell', entrypoint: 'a.sh' }, dependencies: 'requirements.txt' }, '#/dependencies'],
    ]
    for (const [change, pointer] of bounds) assert.deepEqual(await pointersOf(withs(change)), [pointer], JSON.stringify(change))
  })
})

describe('the short way of writing inputs and outputs', () => {
  const inputs = async (given: JsonObject): Promise<JsonObject> => (await parsed(withs({ inputs: given }))).inputs

  test('makes every member required unless it says otherwise', async () => {
    assert.deepEqual(await inputs({ a: { type: 'string' }, b: { type: 'number', optional: true }, c: { optional: false } }), {
      type: 'object',
      properties: { a: { type: 'string' }, b: { type: 'number' }, c: {} },
      required: ['a', 'c'],
      additionalProperties: false,
    })
    assert.deepEqual(await inputs({}), { type: 'object', properties: {}, additionalProperties: false })
  })

  test('is told apart from a schema, also where members are called like keywords', async () => {
    const names = Object.keys(
      Object((await inputs({ type: { type: 'string' }, properties: { type: 'object' }, title: { type: 'string' } }))['properties']),
    )
    assert.deepEqual(names, ['type', 'properties', 'title'])
    for (const schema of [
      { type: 'object' },
      { type: 'object', properties: { a: { type: 'string' } } },
      { type: 'object', required: ['a'] },
    ])
      assert.deepEqual(await inputs(schema), schema)
    assert.deepEqual(await inputs({ properties: { a: { type: 'string' } } }), { type: 'object', properties: { a: { type: 'string' } } })
    assert.deepEqual(await inputs({ properties: { a: { type: 'string' } }, required: ['a'] }), {
      type: 'object',
      properties: { a: { type: 'string' } },
      required: ['a'],
    })
  })

  test('says where it is wrong', async () => {
    assert.deepEqual(await pointersOf(withs({ inputs: { a: 'string' } })), ['#/inputs/a'])
    assert.deepEqual(await pointersOf(withs({ inputs: { a: { type: 'string', optional: 'yes' } } })), ['#/inputs/a/optional'])
    assert.deepEqual(await pointersOf(withs({ inputs: { type: 'string' } })), ['#/inputs/type'])
    assert.deepEqual(await pointersOf(withs({ inputs: { type: 'array', items: {} } })), ['#/inputs/type'])
    assert.deepEqual(await pointersOf(withs({ outputs: { a: { typ: 'string' } } })), ['#/outputs/properties/a/typ'])
  })
})
