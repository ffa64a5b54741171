/**
 * The architecture as data, held against the source: who may import what, who owns which outside package, where a
 * channel's name may stand, how files are named and how long they are, and which error codes there are. ARCHITECTURE.md
 * says the same in words; whoever changes one changes the other.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, test } from 'node:test'
import {
  codeBreaches,
  cycleBreaches,
  importBreaches,
  leaks,
  lengthBreaches,
  nameBreaches,
  openingBreaches,
  within,
  type ImportRules,
  type LeakRules,
} from './support/rules.ts'
import { parseSource, readSources, type Source } from './support/source.ts'

const contract = 'gateway/contract'
const rules: ImportRules = {
  parts: {
    'gateway/contract': [],
    'gateway/observe': [contract],
    'gateway/secrets': [contract],
    'gateway/config': [contract, 'gateway/secrets'],
    'gateway/audit': [contract],
    'gateway/guarded': [contract],
    'gateway/webhooks': [contract],
    'gateway/store': [contract],
    'gateway/pipeline': [contract],
    'gateway/http': [contract, 'gateway/observe', 'gateway/pipeline', 'gateway/webhooks'],
    'gateway/grpc': [contract, 'gateway/http'],
    'gateway/front.ts': ['audit', 'config', 'contract', 'grpc', 'guarded', 'http', 'pipeline'].map((part) => `gateway/${part}`),
    'gateway/gateway.ts': [
      'front.ts',
      'audit',
      'config',
      'contract',
      'grpc',
      'guarded',
      'http',
      'observe',
      'pipeline',
      'store',
      'webhooks',
    ].map((part) => `gateway/${part}`),
    'gateway/main.ts': ['gateway'],
    'gateway/run.ts': ['gateway', 'channels', 'agents', 'skills'],
    cli: ['gateway', 'channels', 'agents', 'skills'],
    'channels/registry.ts': [contract, 'channels'],
    'channels/*': [contract],
    agents: [contract],
    skills: [contract],
    console: [],
    sdk: [],
    'test/fakes': [],
  },
  owners: {
    'node:sqlite': ['gateway/store'],
    express: ['gateway/http'],
    jose: ['gateway/http', 'skills'],
    helmet: ['gateway/http'],
    uqr: ['gateway/http'],
    '@grpc/grpc-js': ['gateway/grpc'],
    '@grpc/proto-loader': ['gateway/grpc'],
    '@grpc/reflection': ['gateway/grpc'],
    'grpc-health-check': ['gateway/grpc'],
    'lru-cache': ['gateway/http'],
    pino: ['gateway/observe'],
    '@opentelemetry/api': ['gateway/observe'],
    '@opentelemetry/exporter-trace-otlp-http': ['gateway/observe'],
    '@opentelemetry/resources': ['gateway/observe'],
    '@opentelemetry/sdk-trace-base': ['gateway/observe'],
    yaml: ['gateway/config', 'skills'],
    ajv: ['gateway/http', 'gateway/config', 'skills'],
    amqplib: ['channels/amqp'],
    ws: ['channels/websocket'],
    grammy: ['channels/telegram'],
    '@slack/socket-mode': ['channels/slack'],
    '@slack/web-api': ['channels/slack'],
    mqtt: ['channels/mqtt'],
    kafkajs: ['channels/kafka'],
    undici: ['agents'],
    'ajv-formats': ['skills'],
    dockerode: ['skills'],
    semver: ['skills'],
    'quickjs-emscripten-core': ['skills'],
    '@jitl/quickjs-wasmfile-release-sync': ['skills'],
    mdast: ['gateway/pipeline'],
    'mdast-util-from-markdown': ['gateway/pipeline'],
    'mdast-util-gfm': ['gateway/pipeline'],
    'micromark-extension-gfm': ['gateway/pipeline'],
    baileys: ['channels/whatsapp'],
  },
  door: { folder: contract, specifier: '#contract' },
  free: ['test/fakes'],
}

const root = join(import.meta.dirname, '..')
const source = readSources(root, ['{gateway,channels,agents,skills,cli,sdk}/**/*.ts', 'console/**/*.js'])
const tests = readSources(root, ['test/**/*.ts'])
const fakes = tests.filter(({ path }) => within(path, 'test/fakes'))
const leakRules: LeakRules = {
  kinds: globSync('channels/*/', { cwd: root }).map((folder) => basename(folder)),
  registry: 'channels/registry.ts',
  ordinary: new Set(['completions', 'hook', 'http', 'websocket', 'email', 'signal', 'matrix', 'slack', 'whatsapp']),
  otherSense: /upgrade|protocol|scheme|messaging_product|channel_id|\b(part|tag):/i,
}
const leaksAllowed = 1
const catalogue = readFileSync(join(root, 'docs/errors.md'), 'utf8')

describe('architecture', () => {
  test('a part imports only what the table allows', () => assert.deepEqual(importBreaches([...source, ...fakes], rules), []))
  test('no file imports itself by a detour', () => assert.deepEqual(cycleBreaches(source), []))
  test(`channels are named outside their folder and the registry in at most ${leaksAllowed} file`, () => {
    const found = leaks(source, leakRules)
    assert.ok(found.length <= leaksAllowed, found.join('\n'))
  })
  test('a file is named after the one thing in it', () => assert.deepEqual(nameBreaches([...source, ...tests]), []))
  test('a source file begins by saying what it is for', () => assert.deepEqual(openingBreaches(source), []))
  test('a source file has at most 400 lines of code, a test 600', () => {
    assert.deepEqual([...lengthBreaches(source, 400), ...lengthBreaches(tests, 600)], [])
  })
  test('docs/errors.md lists exactly the codes there are', () => assert.deepEqual(codeBreaches(source, catalogue), []))
})

describe('the rules notice', () => {
  const file = (path: string, text: string): readonly Source[] => [parseSource(path, text)]
  const planted: readonly (readonly [breach: string, path: string, text: string])[] = [
    ['the hub importing a spoke', 'gateway/pipeline/a.ts', "import { b } from '../../channels/telegram/b.ts'"],
    ['a spoke importing the hub', 'channels/telegram/a.ts', "import { b } from '../../gateway/store/b.ts'"],
    ['a spoke importing another', 'channels/telegram/a.ts', "export * from '../slack/b.ts'"],
    ['a lazy import across parts', 'agents/a.ts', "const b = await import('../skills/b.ts')"],
    ['a worker across parts', 'gateway/pipeline/a.ts', "new Worker(new URL('../store/worker.ts', import.meta.url))"],
    ['the contract entered by the side', 'skills/a.ts', "import type { Log } from '../gateway/contract/runtime.ts'"],
    ['source importing a test', 'gateway/gateway.ts', "import { b } from '../test/support/b.ts'"],
    ['a package of another part', 'gateway/pipeline/a.ts', "import { DatabaseSync } from 'node:sqlite'"],
    ['a package of nobody', 'gateway/http/a.ts', "import x from 'left-pad'"],
    ['a file outside the table', 'gateway/stray.ts', ''],
    ['a fake that knows the product', 'test/fakes/a.ts', "import type { Envelope } from '#contract'"],
  ]
  for (const [breach, path, text] of planted) test(breach, () => assert.equal(importBreaches(file(path, text), rules).length, 1))
  test('nothing where an import stands in a comment or a string', () => {
    assert.deepEqual(
      importBreaches(file('agents/a.ts', "// import '../cli/b.ts'\n/* from 'ws' */ const a = `import 'ws'`, b = /'/"), rules),
      [],
    )
  })
  test('a cycle', () => {
    const files = [...file('agents/a.ts', "import './b.ts'"), ...file('agents/b.ts', "import './a.ts'")]
    assert.deepEqual(cycleBreaches(files), ['agents/a.ts → agents/b.ts → agents/a.ts'])
  })
  test('a channel named by the hub, and not the protocol of the same name', () => {
    const named = (text: string): number =>
      leaks(file('gateway/pipeline/a.ts', text), { ...leakRules, kinds: ['telegram', 'websocket'] }).length
    assert.equal(named("if (kind === 'telegram') {}"), 1)
    assert.equal(named('const telegramLimit = 4096'), 1)
    assert.equal(named("if (kind === 'websocket') {}"), 1)
    assert.equal(named("if (request.headers.upgrade === 'websocket') {} // as telegram does"), 0)
  })
  test('an empty name, a silent file and a long one', () => {
    const long = file('gateway/http/utils.ts', 'const a = 1\n'.repeat(401))
    assert.deepEqual([nameBreaches(long).length, openingBreaches(long).length, lengthBreaches(long, 400).length], [1, 1, 1])
  })
  test('a code that is not listed, one that is not used and one listed twice', () => {
    const thrower = file('gateway/http/a.ts', "throw new ConflictError('x', { code: late ? 'A_ONE' : 'A_TWO' })")
    assert.equal(codeBreaches(thrower, '| `A_ONE` | x |\n| `A_TWO` | x |').length, 0)
    assert.equal(codeBreaches(thrower, '| `A_ONE` | x |\n| `A_ONE` | x |\n| `GONE` | x |').length, 3)
  })
})
