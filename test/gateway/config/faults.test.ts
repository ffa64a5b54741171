import assert from 'node:assert/strict'
import test from 'node:test'
import { formatFault, loadConfig } from '../../../gateway/config/load.ts'
import { folder } from './folder.ts'

interface Case {
  readonly name: string
  readonly yaml: string
  /** `line:column path` of each fault, with a part of its message. */
  readonly faults: readonly (readonly [place: string, message: RegExp, nearest?: string])[]
  readonly env?: { readonly [name: string]: string }
}

const CASES: readonly Case[] = [
  {
    name: 'an unknown key at the top',
    yaml: 'sever:\n  port: 1\n',
    faults: [['1:1 sever', /unknown key "sever", expected one of project/, 'server']],
  },
  {
    name: 'security, whose parts are in several places',
    yaml: 'security:\n  rate_limits: {}\n',
    faults: [
      [
        '1:1 security',
        /unknown key "security".* rate limits below `server`, .* limits of an agent in `agents\.<name>\.limits`; validators there are none$/,
      ],
    ],
  },
  { name: 'security elsewhere', yaml: 'log: {security: 1}\n', faults: [['1:7 log.security', /expected one of level, format$/]] },
  { name: 'an unknown key inside', yaml: 'server:\n  prot: 1\n', faults: [['2:3 server.prot', /unknown key/, 'port']] },
  { name: 'an unknown key like nothing', yaml: 'server:\n  zzzzzz: 1\n', faults: [['2:3 server.zzzzzz', /unknown key/]] },
  {
    name: 'a text for a number',
    yaml: 'server:\n  port: eight\n',
    faults: [['2:9 server.port', /^the text "eight", expected a whole number$/]],
  },
  { name: 'a quoted number', yaml: 'server: {port: "80"}\n', faults: [['1:16 server.port', /the text "80", expected a whole number/]] },
  {
    name: 'a fraction for a whole number',
    yaml: 'server:\n  port: 80.5\n',
    faults: [['2:9 server.port', /the number 80.5, expected a whole number/]],
  },
  {
    name: 'a number too large',
    yaml: 'server:\n  port: 65536\n',
    faults: [['2:9 server.port', /the number 65536, expected at most 65535/]],
  },
  { name: 'a number too small', yaml: 'turns:\n  attempts: 0\n', faults: [['2:13 turns.attempts', /expected at least 1/]] },
  { name: 'a list for a mapping', yaml: 'server:\n  - port\n', faults: [['2:3 server', /a list, expected a mapping/]] },
  { name: 'a mapping for a list', yaml: 'routes:\n  a: b\n', faults: [['2:3 routes', /a mapping, expected a list/]] },
  { name: 'a text for a mapping', yaml: 'log: loud\n', faults: [['1:6 log', /the text "loud", expected a mapping/]] },
  { name: 'nothing for a text', yaml: 'log:\n  level:\n', faults: [['2:9 log.level', /nothing, expected one of debug/]] },
  {
    name: 'a word outside its set',
    yaml: 'log:\n  level: wran\n',
    faults: [['2:10 log.level', /expected one of debug, info, warn, error, silent/, 'warn']],
  },
  {
    name: 'a text for a truth value',
    yaml: 'server:\n  insecure_http: yes\n',
    faults: [['2:18 server.insecure_http', /the text "yes", expected true or false/]],
  },
  { name: 'a truth value for a text', yaml: 'project: true\n', faults: [['1:10 project', /the truth value true, expected a text/]] },
  {
    name: 'a duration that is none',
    yaml: 'shutdown:\n  drain: soon\n',
    faults: [['2:10 shutdown.drain', /the text "soon", expected a duration like 30s/]],
  },
  {
    name: 'a duration too long for a timer',
    yaml: 'shutdown: {drain: 30d}\n',
    faults: [['1:19 shutdown.drain', /expected at most 3600 s/]],
  },
  {
    name: 'a size that is none',
    yaml: 'server:\n  body_limit: 1 apple\n',
    faults: [['2:15 server.body_limit', /expected a size like 512KiB/]],
  },
  { name: 'a size too small', yaml: 'server:\n  body_limit: 10\n', faults: [['2:15 server.body_limit', /at least 1024 bytes/]] },
  { name: 'a name that cannot be one', yaml: 'agents:\n  "a b": {}\n', faults: [['2:3 agents.a b', /the name "a b", expected one like/]] },
  { name: 'a name of the prototype', yaml: 'channels:\n  __proto__: {}\n', faults: [['2:3 channels.__proto__', /the name "__proto__"/]] },
  {
    name: 'a variable that is not set',
    yaml: 'project: ${NOPE}\n',
    faults: [['1:10 project', /NOPE is not set, expected a value; set it or write \$\{NOPE:-default\}/]],
  },
  { name: 'a variable in the middle', yaml: 'project: "a ${NOPE} b"\n', faults: [['1:13 project', /NOPE is not set/]] },
  {
    name: 'a reference that is none',
    yaml: 'agents:\n  a:\n    prompt: say ${foo.bar} now\n',
    faults: [['3:17 agents.a.prompt', /"\$\{" opens a reference/]],
  },
  { name: 'a reference that does not end', yaml: 'project: a${B\n', faults: [['1:11 project', /opens a reference/]] },
  {
    name: 'a variable of the wrong kind',
    yaml: 'server:\n  port: ${PORT}\n',
    env: { PORT: 'x1' },
    faults: [['2:9 server.port', /^the value of PORT, expected a whole number$/]],
  },
  {
    name: 'an override of the wrong kind',
    yaml: '',
    env: { OPENCLAW_PORT: 'http' },
    faults: [['0:0 server.port', /the value of OPENCLAW_PORT, expected a whole number/]],
  },
  {
    name: 'a route to nobody',
    yaml: 'agents: {support: {}}\nroutes:\n  - match: {channel: c}\n    agent: suport\n',
    faults: [['4:12 routes[0].agent', /no agent is called "suport"/, 'support']],
  },
  {
    name: 'a route to nowhere',
    yaml: 'routes:\n  - match: {}\n',
    faults: [['2:5 routes[0].agent', /nothing, expected the name of an agent/]],
  },
  {
    name: 'a route that says nothing',
    yaml: 'routes:\n  - agent: assistant\n',
    faults: [['2:5 routes[0].match', /nothing, expected "match" here/]],
  },
  {
    name: 'a route with two agents',
    yaml: 'routes:\n  - match: {}\n    agent: assistant\n    route: {target: assistant}\n',
    faults: [['4:5 routes[0].route', /`agent` and `route` both/]],
  },
  {
    name: 'a header without value',
    yaml: 'rules:\n  - match: {header: X-A}\n    route: {target: assistant}\n',
    faults: [['2:21 rules[0].match.header', /expected `equals`/]],
  },
  {
    name: 'a value without header',
    yaml: 'rules:\n  - match: {equals: x}\n    agent: assistant\n',
    faults: [['2:21 rules[0].match.equals', /without a header/]],
  },
  {
    name: 'routes and rules at once',
    yaml: 'routes: [{match: {}, agent: assistant}]\nrules: []\n',
    faults: [['2:1 rules', /the same thing/]],
  },
  {
    name: 'a topic with an empty word',
    yaml: 'routes:\n  - match:\n      topic: user..x\n    agent: assistant\n',
    faults: [['3:14 routes[0].match.topic', /an empty word/]],
  },
  {
    name: 'a tenant that is no name',
    yaml: 'agents:\n  a: {tenant: "No Tenant"}\n',
    faults: [['2:15 agents.a.tenant', /expected a text like/]],
  },
  { name: 'a fallback to nobody', yaml: 'fallback: asistant\n', faults: [['1:11 fallback', /no agent/, 'assistant']] },
  {
    name: 'a model of nobody',
    yaml: 'agents:\n  a:\n    model: opnai/gpt-5\n',
    faults: [['3:12 agents.a.model', /no provider has the model/, 'openai/gpt-5']],
  },
  {
    name: 'a model nobody lists',
    yaml: 'llm:\n  providers: {openai: {models: [gpt-4o]}}\n  defaults: {primary: gpt-40}\n',
    faults: [['3:23 llm.defaults.primary', /no provider/, 'gpt-4o']],
  },
  {
    name: 'fallback models without a first',
    yaml: 'agents:\n  a: {fallback: [openai/x]}\n',
    faults: [['2:7 agents.a.fallback', /expected `model`/]],
  },
  {
    name: 'an unknown provider without address',
    yaml: 'llm:\n  providers:\n    opneai: {api_key: k}\n',
    faults: [['3:5 llm.providers.opneai', /no base_url/, 'openai']],
  },
  {
    name: 'an address that is none',
    yaml: 'llm:\n  providers:\n    x: {base_url: nowhere}\n',
    faults: [['3:19 llm.providers.x.base_url', /expected an address/]],
  },
  {
    name: 'a price with a part missing',
    yaml: 'llm:\n  prices:\n    openai/x: {input_usd: 1}\n',
    faults: [['3:15 llm.prices.openai/x.output_usd', /expected "output_usd" here/]],
  },
  { name: 'a wait longer than its cap', yaml: 'delivery:\n  base: 5m\n', faults: [['2:9 delivery.base', /longer than delivery.cap/]] },
  {
    name: 'an account of two people',
    yaml: 'session:\n  identity_links:\n    a: ["t:1"]\n    b: ["t:1"]\n',
    faults: [['4:9 session.identity_links.b[0]', /an account of "a" already/]],
  },
  {
    name: 'an account without a channel',
    yaml: 'session:\n  identity_links: {a: [bob]}\n',
    faults: [['2:24 session.identity_links.a[0]', /expected a text like/]],
  },
  { name: 'a key twice', yaml: 'log: {}\nlog: {}\n', faults: [['2:1 ', /not YAML: Map keys must be unique/]] },
  { name: 'a tab as indentation', yaml: 'server:\n\tport: 1\n', faults: [['2:1 ', /not YAML: .*[Tt]ab/]] },
  { name: 'a list that does not end', yaml: 'agents:\n  a:\n    skills: [x\n', faults: [['4:1 ', /not YAML: .*\]/]] },
  {
    name: 'a reference bare in braces',
    yaml: 'server: {port: ${PORT}}\n',
    env: { PORT: '1' },
    faults: [['1:17 ', /not YAML.*inside \[ \] and \{ \} write "\$\{NAME\}" with quotes/]],
  },
  { name: 'an alias that holds itself', yaml: 'channels: &a\n  x: *a\n', faults: [['1:11 ', /deeper than 64 levels/]] },
  { name: 'a file that is a list', yaml: '- a\n', faults: [['1:1 ', /a list, expected a mapping/]] },
  { name: 'a key that is a list', yaml: 'channels:\n  ? [a]\n  : {}\n', faults: [['2:5 channels', /a key that is no text/]] },
]

for (const { name, yaml, env = {}, faults } of CASES) {
  test(`the fault names place and expectation: ${name}`, async (t) => {
    const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': yaml }), env })
    assert.equal(loaded.ok, false)
    if (loaded.ok) return
    const told = loaded.faults.map((fault) => `${fault.line}:${fault.column} ${fault.path}`)
    const wanted = faults.map(([place]) => place)
    if (name.includes('holds itself')) assert.equal(told.length, 1)
    else assert.deepEqual(told, wanted, loaded.faults.map(formatFault).join('\n'))
    faults.forEach(([, message, nearest], i) => {
      assert.match(loaded.faults[i]?.message ?? '', message)
      assert.equal(loaded.faults[i]?.nearest, nearest)
    })
  })
}

test('all faults of a file are told at once, in its order', async (t) => {
  const yaml = 'log: {level: loud}\nserver:\n  port: x\n  hots: y\nproject: ${NOPE}\n'
  const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': yaml }), env: {} })
  assert.equal(loaded.ok, false)
  assert.deepEqual(loaded.ok ? [] : loaded.faults.map((fault) => fault.line), [1, 3, 4, 5])
})

test('a fault is printed as file, line, column, path, message and guess', async (t) => {
  const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': 'log:\n  levle: info\n' }), env: {} })
  assert.deepEqual(loaded.ok ? [] : loaded.faults.map(formatFault), [
    'openclaw.yaml:2:3 log.levle: unknown key "levle", expected one of level, format. Did you mean "level"?',
  ])
})

test('a secret is not repeated in a fault', async (t) => {
  const yaml = 'llm:\n  providers:\n    openai: {api_key: [hunter2hunter2]}\n    x: {api_key: true, base_url: "http://h"}\n'
  const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': yaml }), env: {} })
  assert.equal(loaded.ok, false)
  const schema = { type: 'object', properties: { token: { type: 'string', pattern: '^[0-9]+:' } } }
  const other = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': 'channels:\n  phone: {token: hunter2}\n' }), env: {} })
  const faults = [...(loaded.ok ? [] : loaded.faults), ...(other.ok ? other.checkChannel('phone', schema).faults : [])]
  assert.equal(faults.length, 3)
  for (const fault of faults) assert.doesNotMatch(formatFault(fault), /hunter2/)
})

const UNQUOTED: { readonly [what: string]: string } = {
  'a tag': 'llm: {providers: {openai: {api_key: !hunter2hunter2}}}\n',
  'an alias': 'llm: {providers: {openai: {api_key: *hunter2hunter2}}}\n',
  'an anchor': 'project: &hunter2hunter2\n',
  'the head of a block': 'llm:\n  providers:\n    openai:\n      api_key: |hunter2hunter2\n',
  'a directive': '%hunter2hunter2\n---\nproject: x\n',
  'an escape': 'llm: {providers: {openai: {api_key: "x\\Uhunter2hunter2"}}}\n',
}
for (const [what, yaml] of Object.entries(UNQUOTED)) {
  test(`a secret that is read as ${what} because it has no quotes is a fault that does not repeat it`, async (t) => {
    const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': yaml }), env: {} })
    const faults = loaded.ok ? [] : loaded.faults.map(formatFault)
    assert.equal(faults.length, 1)
    assert.doesNotMatch(faults.join(), /hunt/)
  })
}

test('a file with the other ending is not silently ignored', async (t) => {
  const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yml': '' }), env: {} })
  assert.match(
    loaded.ok ? '' : formatFault(loaded.faults[0] ?? assert.fail()),
    /openclaw\.yml:1:1: is not read, expected the name openclaw\.yaml/,
  )
})
