import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { DeniedError, isJsonObject, textOf } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { bundled } from '../../../skills/bundled/bundled.ts'
import { MAX_BUNDLE_BYTES, MAX_FILES } from '../../../skills/bundle/bundle.ts'
import type { EgressFetch } from '../../../skills/egress/egress.ts'
import { QuickJsSandbox } from '../../../skills/sandbox/quickjs/quickjs.ts'
import { scriptJob } from '../../support/javascript.ts'
import { realClock } from '../../support/real-clock.ts'
import { quietLog } from '../../support/quiet-log.ts'

const requests: { readonly url: string; readonly headers: NodeJS.Dict<string | string[]> }[] = []
const server = createServer((request, response) => {
  requests.push({ url: request.url ?? '', headers: request.headers })
  const path = new URL(request.url ?? '', 'http://x').pathname
  if (path === '/page') {
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end('<title>x</title><script>alert(1)</script><p>One &amp; two<br>three</p>')
  } else if (path === '/search') {
    response.end(
      JSON.stringify({
        results: [
          { title: 'A <b>title</b>', url: 'https://a.example/', content: ' of  words ' },
          { title: 'bad', url: 'javascript:1' },
        ],
      }),
    )
  } else if (path === '/res/v1/web/search') {
    response.end(JSON.stringify({ web: { results: [{ title: 'B', url: 'https://b.example/', description: 'd' }] } }))
  } else {
    response.statusCode = 403
    response.end()
  }
})
const listening = new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
/** Of the gate only what these skills need: one host, any port. */
const way: EgressFetch = async (request) => {
  const url = new URL(request.url)
  if (!request.allow.includes(url.hostname))
    throw new DeniedError(`${url.hostname} is not among the hosts of the skill.`, { code: 'EGRESS_DENIED', reason: 'forbidden' })
  await listening
  const { port } = server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}${url.pathname}${url.search}`, {
    method: request.method,
    headers: request.headers,
    signal: request.signal,
  })
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: new Uint8Array(await answer.arrayBuffer()) }
}
const sandbox = new QuickJsSandbox({ clock: realClock, log: quietLog, fetch: way })
after(async () => {
  await sandbox.stop()
  server.closeAllConnections()
  server.close()
})

const loaded = await Promise.all(bundled.map(async (skill) => ({ id: skill.id, ...(await skill.load()) })))
const find = (id: string): (typeof loaded)[number] => loaded.find((skill) => skill.id === id) ?? assert.fail(id)
const of = (value: JsonValue | undefined, ...path: string[]): JsonValue | undefined =>
  path.reduce<JsonValue | undefined>((at, name) => (isJsonObject(at) ? at[name] : undefined), value)
/** One for all: it compiles the metaschema once, and each schema. */
const ajv = new Ajv2020()
const schemaOf = (value: JsonValue | undefined): JsonObject => (isJsonObject(value) ? value : {})

interface Told {
  readonly output?: JsonValue
  readonly error?: string
}

async function run(
  id: string,
  input: JsonValue,
  more: { readonly secrets?: { readonly [name: string]: string }; readonly egress?: readonly string[] } = {},
): Promise<Told> {
  const { descriptor, files } = find(id)
  if (!ajv.validate(schemaOf(of(descriptor, 'inputs')), input)) return { error: 'invalid_input' }
  const job = scriptJob('', { input, timeoutMs: 10_000, ...more })
  const { bundle } = job
  const entrypoint = textOf(of(descriptor, 'runtime', 'entrypoint'))
  const resources = { ...bundle.descriptor.resources, memoryMb: Number(of(descriptor, 'resources', 'memory_mb')) }
  const { outcome } = await sandbox.run({
    ...job,
    bundle: { ...bundle, files, descriptor: { ...bundle.descriptor, resources, runtime: { language: 'javascript', entrypoint } } },
  })
  if (outcome.status === 'error') return { error: `${outcome.code}: ${outcome.message}` }
  assert.ok(ajv.validate(schemaOf(of(descriptor, 'outputs')), outcome.output), ajv.errorsText())
  return { output: outcome.output }
}

describe('the bundled skills', () => {
  for (const { id, descriptor, files } of loaded) {
    test(`are within the bounds of any skill: ${id}`, () => {
      assert.equal(of(descriptor, 'id'), id)
      assert.ok(Object.hasOwn(files, textOf(of(descriptor, 'runtime', 'entrypoint'))))
      assert.ok(Object.keys(files).length <= MAX_FILES)
      assert.ok(Object.values(files).reduce((sum, { byteLength }) => sum + byteLength, 0) <= MAX_BUNDLE_BYTES)
      for (const path of Object.keys(files)) assert.match(path, /^(?!.*\.\.)[\w.-]+(?:\/[\w.-]+)*$/)
    })
    if (of(descriptor, 'runtime', 'language') !== 'javascript') continue
    const tests = of(descriptor, 'tests')
    for (const each of Array.isArray(tests) ? tests : []) {
      test(`pass the tests of their descriptors: ${id} ${textOf(of(each, 'name'))}`, async () => {
        const told = await run(id, of(each, 'input') ?? null)
        if (of(each, 'error') === undefined) assert.deepEqual(told, { output: of(each, 'output') })
        else assert.ok(told.error?.startsWith(textOf(of(each, 'error'))), JSON.stringify(told))
      })
    }
  }
  test('have the seed’s own descriptor, word for word', () => {
    assert.deepEqual(find('profile-enricher').descriptor, {
      id: 'profile-enricher',
      version: '1.0.0',
      inputs: { userId: { type: 'string', description: 'User identifier' } },
      outputs: { profile: { type: 'object', properties: { name: { type: 'string' }, email: { type: 'string' } } } },
      runtime: { language: 'python', entrypoint: 'enrich_profile.py' },
    })
  })
})

describe('calculator', () => {
  const right: readonly (readonly [expression: string, result: string])[] = [
    ['1 + 2 * 3', '7'],
    ['(1 + 2) * 3', '9'],
    ['-2 ^ 2', '-4'],
    ['(-2) ^ 2', '4'],
    ['2 ^ 3 ^ 2', '512'],
    ['2 ^ -2', '0.25'],
    ['2 ** 10', '1024'],
    ['7 % 3 - -7 % 3', '-1'],
    ['5!', '120'],
    ['3!!', '720'],
    ['1.1 * 1.1', '1.21'],
    ['1e3 + .5', '1000.5'],
    ['10 ÷ 4 × 2 − 1', '4'],
    ['2 ^ 100', '1267650600228229401496703205376'],
    ['sqrt(2.25) + sqrt(16)', '5.5'],
    ['round(2.5) + round(-2.5) + round(1.005, 2)', '1.01'],
    ['round(1234, -2)', '1200'],
    ['max(1, 2, 3) - min(4, 5) + avg(1, 2) + sum(1, 2, 3)', '6.5'],
    ['floor(-1.5) + ceil(1.2) + trunc(-1.9) + abs(-1) + sign(-3)', '-1'],
    ['gcd(12, 18) + lcm(4, 6)', '18'],
    ['1 / 3 + 1 / 3 + 1 / 3', '1'],
  ]
  for (const [expression, result] of right) {
    test(`computes ${expression}`, async () =>
      assert.deepEqual(await run('calculator', { expression }), { output: { result, exact: true } }))
  }
  test('rounds where no fraction says it', async () => {
    assert.deepEqual(await run('calculator', { expression: 'sin(pi / 2) + log10(1000) + ln(e) + cos(0)' }), {
      output: { result: '6', exact: false },
    })
    assert.deepEqual(await run('calculator', { expression: '2 / 3' }), { output: { result: '0.66666666666666666667', exact: false } })
  })
  const wrong: readonly (readonly [expression: string, said: RegExp])[] = [
    ['1 / 0', /division by zero/],
    ['1 +', /"\(" is missing at the end/],
    ['(1 + 2', /"\)" is missing/],
    ['1 2', /"2" is not expected at 3/],
    ['2 $ 3', /"\$ 3" at 2 is not understood/],
    ['constructor', /there is no "constructor"/],
    ['toString(1)', /there is no function "toString"/],
    ['__proto__', /there is no "__proto__"/],
    ['sqrt(-1)', /no root of a negative number/],
    ['9 ^ 9 ^ 9', /too large/],
    ['9 ^ 9999 ^ 2', /too large/],
    ['1e99999', /exponent is too large/],
    ['1001!', /from 0 to 1000/],
    ['(-8) ^ 0.5', /negative/],
    ['('.repeat(500), /nested deeper/],
    [`${'-'.repeat(500)}1`, /nested deeper/],
    ['min()', /min takes/],
  ]
  for (const [expression, said] of wrong) {
    test(`refuses ${expression.slice(0, 20)}`, async () => {
      const { error } = await run('calculator', { expression })
      assert.match(error ?? '', /^crashed: Error: /)
      assert.match(error ?? '', said)
    })
  }
})

describe('email-validator', () => {
  const good = [
    'a@b.co',
    'a.b+c@x-y.example',
    '"a b@c"@example.com',
    'x@[192.0.2.1]',
    'x@[IPv6:2001:db8::1]',
    'jürgen@exämple.de',
    `${'a'.repeat(64)}@example.com`,
  ]
  const bad = [
    '',
    'a',
    '@b.co',
    'a@',
    'a@b',
    '.a@b.co',
    'a.@b.co',
    'a..b@b.co',
    'a b@c.de',
    '"a@b.co',
    'a@-b.co',
    'a@b-.co',
    'a@b..co',
    'a@1.2.3.4',
    'x@[300.0.0.1]',
    `${'a'.repeat(65)}@example.com`,
    `a@${'b.'.repeat(130)}co`,
    'a@b.co\nbcc: x@y.z',
  ]
  for (const email of good)
    test(`takes ${email.slice(0, 30)}`, async () => assert.equal(of((await run('email-validator', { email })).output, 'valid'), true))
  for (const email of bad) {
    test(`refuses ${JSON.stringify(email.slice(0, 30))}`, async () => {
      const { output } = await run('email-validator', { email })
      assert.equal(of(output, 'valid'), false)
      assert.equal(typeof of(output, 'reason'), 'string')
    })
  }
})

describe('csv-query', () => {
  const csv = 'name,team,points,"note, long"\nAda,red,3,"a ""b"""\nBob,blue,,x\nCy,red,10,\n"D,\nd",blue,7,y\n'
  const names = async (more: JsonObject): Promise<unknown> => {
    const rows = of((await run('csv-query', { csv, columns: ['name'], ...more })).output, 'rows')
    return Array.isArray(rows) ? rows.map((row: JsonValue) => of(row, 'name')) : rows
  }
  test('reads quotes, commas and line ends within', async () => {
    const { output } = await run('csv-query', { csv })
    assert.deepEqual(of(output, 'columns'), ['name', 'team', 'points', 'note, long'])
    assert.deepEqual(Object.values(Object(of(output, 'rows')))[0], { name: 'Ada', team: 'red', points: 3, 'note, long': 'a "b"' })
    assert.deepEqual([of(output, 'total'), of(output, 'warnings')], [4, []])
  })
  test('filters by number, by text and by emptiness', async () => {
    assert.deepEqual(await names({ where: [{ column: 'points', is: '>=', value: 7 }] }), ['Cy', 'D,\nd'])
    assert.deepEqual(await names({ where: [{ column: 'points', is: '<', value: '10' }] }), ['Ada', 'D,\nd'])
    assert.deepEqual(await names({ where: [{ column: 'points', is: 'empty' }] }), ['Bob'])
    assert.deepEqual(
      await names({
        where: [
          { column: 'name', is: 'contains', value: 'A' },
          { column: 'team', is: '=', value: 'red' },
        ],
      }),
      ['Ada'],
    )
    assert.deepEqual(await names({ where: [{ column: 'team', is: 'in', value: ['blue', 'green'] }] }), ['Bob', 'D,\nd'])
    assert.deepEqual(await names({ where: [{ column: 'team', is: '!=', value: 'blue' }] }), ['Ada', 'Cy'])
  })
  test('sorts by several columns, numbers as numbers, and pages', async () => {
    assert.deepEqual(await names({ order_by: [{ column: 'team' }, { column: 'points', descending: true }], offset: 1, limit: 2 }), [
      'D,\nd',
      'Cy',
    ])
  })
  test('aggregates all, or by group', async () => {
    const aggregates = ['count', 'sum', 'avg', 'min', 'max', 'median', 'distinct'].map((name) => ({
      function: name,
      column: 'points',
      as: name,
    }))
    assert.deepEqual(of((await run('csv-query', { csv, aggregates })).output, 'rows'), [
      { count: 3, sum: 20, avg: 20 / 3, min: 3, max: 10, median: 7, distinct: 3 },
    ])
  })
  test('keeps a column of any name, and says what is uneven', async () => {
    const { output } = await run('csv-query', { csv: '__proto__,constructor,__proto__\n1,2\n007,x,y\n' })
    assert.deepEqual(
      JSON.stringify(of(output, 'rows')),
      '[{"__proto__":1,"constructor":2,"__proto___2":""},{"__proto__":"007","constructor":"x","__proto___2":"y"}]',
    )
    assert.deepEqual(of(output, 'warnings'), ['1 rows have more or fewer values than there are columns'])
  })
  test('names the columns of a table without header', async () => {
    assert.deepEqual(of((await run('csv-query', { csv: '1\t2', header: false })).output, 'rows'), [{ column1: 1, column2: 2 }])
  })
  test('answers about a megabyte in time', async () => {
    const large = `id,name\n${Array.from({ length: 40_000 }, (_, n) => `${n},"name ${n}"`).join('\n')}`
    const { output } = await run('csv-query', { csv: large, aggregates: [{ function: 'max', column: 'id' }] })
    assert.deepEqual(of(output, 'rows'), [{ max_id: 39_999 }])
  })
})

describe('http-fetch', () => {
  const egress = ['page.test']
  test('brings a page, as it is or as text', async () => {
    assert.match(textOf(of((await run('http-fetch', { url: 'http://page.test/page' }, { egress })).output, 'text')), /^<title>/)
    const { output } = await run('http-fetch', { url: 'http://page.test/page', as: 'text' }, { egress })
    assert.deepEqual([of(output, 'status'), of(output, 'text')], [200, 'x One & two\nthree'])
    const cut = (await run('http-fetch', { url: 'http://page.test/page', max_chars: 3 }, { egress })).output
    assert.deepEqual([of(cut, 'text'), of(cut, 'is_truncated')], ['<ti', true])
  })
  test('goes nowhere else, and nowhere at all before a host is named', async () => {
    assert.match((await run('http-fetch', { url: 'http://other.test/' }, { egress })).error ?? '', /^egress_denied: other\.test/)
    assert.match((await run('http-fetch', { url: 'http://page.test/page' })).error ?? '', /^crashed: .*network\.allow/)
  })
})

describe('web-search', () => {
  const egress = ['searx.test', 'brave.test']
  const secrets = { SEARCH_URL: 'https://searx.test/search', SEARCH_KEY: 'none' }
  test('asks a SearXNG', async () => {
    const { output } = await run('web-search', { query: 'a & b', language: 'en' }, { egress, secrets })
    assert.deepEqual(output, { results: [{ title: 'A title', url: 'https://a.example/', snippet: 'of words' }] })
    const { url, headers } = requests.at(-1) ?? assert.fail()
    assert.equal(url, '/search?q=a%20%26%20b&format=json&language=en')
    assert.equal(headers['authorization'], undefined)
  })
  test('asks what is asked like Brave Search, with its key', async () => {
    const keyed = { SEARCH_URL: 'https://brave.test/res/v1/web/search', SEARCH_KEY: 'k-1' }
    assert.deepEqual((await run('web-search', { query: 'x' }, { egress, secrets: keyed })).output, {
      results: [{ title: 'B', url: 'https://b.example/', snippet: 'd' }],
    })
    assert.equal(requests.at(-1)?.headers['x-subscription-token'], 'k-1')
  })
  test('says that a key is refused, and not the key', async () => {
    const { error } = await run(
      'web-search',
      { query: 'x' },
      { egress, secrets: { SEARCH_URL: 'https://searx.test/none', SEARCH_KEY: 'k-2' } },
    )
    assert.match(error ?? '', /refused the key \(403\)/)
    assert.doesNotMatch(error ?? '', /k-2/)
  })
})
