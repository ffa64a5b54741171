import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultPolicy } from '../../../gateway/config/access.ts'
import { agentFromDeclaration } from '../../../gateway/config/agent.ts'
import type { Config } from '../../../gateway/config/config.ts'
import { effective, effectiveValues } from '../../../gateway/config/effective.ts'
import { gatewayDir } from '../../../gateway/config/environment.ts'
import { formatFault, loadConfig } from '../../../gateway/config/load.ts'
import type { Loaded } from '../../../gateway/config/load.ts'
import { defaultSettings } from '../../../skills/settings.ts'
import { folder } from './folder.ts'

async function load(t: test.TestContext, yaml: string | null, env: { readonly [name: string]: string } = {}): Promise<Loaded> {
  const loaded = await loadConfig({ dir: await folder(t, yaml === null ? {} : { 'openclaw.yaml': yaml }), env })
  return loaded.ok ? loaded : assert.fail(loaded.faults.map(formatFault).join('\n'))
}
const config = async (...args: Parameters<typeof load>): Promise<Config> => (await load(...args)).config

test('without a file and environment every setting has its default', async (t) => {
  const { agents, ...rest } = await config(t, null)
  assert.deepEqual(rest, {
    project: null,
    version: null,
    server: {
      host: '127.0.0.1',
      port: 8400,
      metricsPort: 9090,
      publicHosts: [],
      origins: [],
      insecureHttp: false,
      tls: null,
      trustedProxies: [],
      rateLimits: { perIp: 100, perKey: 1_000 },
      bodyLimitBytes: 1_048_576,
      maxConnections: 20_000,
    },
    auth: { issuers: [], allowNetworks: [] },
    roles: {},
    keys: [],
    grpc: { isEnabled: false, host: '127.0.0.1', port: 8401 },
    log: { level: 'info', format: 'json' },
    tracing: null,
    routes: [],
    fallbacks: { default: 'assistant' },
    channels: [],
    llm: { providers: {}, primary: null, fallback: [], timeoutMs: 30_000, totalTimeoutMs: 120_000, maxRetries: 3, prices: {} },
    skills: defaultSettings,
    session: { identityLinks: {} },
    delivery: { attempts: 5, baseMs: 1_000, capMs: 180_000 },
    turns: { attempts: 5, baseMs: 1_000, capMs: 180_000, maxConcurrent: 256, leaseMs: 30_000 },
    shutdown: { drainMs: 30_000 },
    retention: { messagesMs: 2_592_000_000, auditMs: 7_776_000_000 },
    audit: { checkpointFile: null },
    webhooks: { isHttpsOnly: true, allowNetworks: [] },
  })
  assert.equal(agents.length, 1)
  const { prompt, ...agent } = agents[0] ?? assert.fail()
  assert.match(prompt, /assistant/)
  assert.deepEqual(agent, {
    tenant: 'default',
    name: 'assistant',
    id: null,
    version: '1.0',
    description: '',
    capabilities: [],
    models: [],
    skills: ['*'],
    limits: {
      maxSteps: 20,
      maxContextTokens: 12_000,
      maxOutputTokens: 1_024,
      turnTimeoutMs: 300_000,
      maxConcurrentTurns: 256,
      turnsPerMinute: null,
      tokensPerHour: null,
    },
    queue: { mode: 'followup', cap: 20, debounceMs: 0 },
    sessionScope: 'per-channel-peer',
  })
})

test('an empty file, and keys whose members are commented out, are the defaults', async (t) => {
  assert.deepEqual(await config(t, '# nothing yet\n'), await config(t, null))
  assert.deepEqual(await config(t, 'agents:\nroutes:\nllm:\n  providers:\n'), await config(t, null))
})

test('the configuration is frozen to its leaves', async (t) => {
  const loaded = await config(t, 'routes:\n  - {match: {header: {A: b}}, agent: assistant}\n')
  assert.ok(Object.isFrozen(loaded) && Object.isFrozen(loaded.server) && Object.isFrozen(loaded.agents[0]?.limits))
  assert.ok(Object.isFrozen(loaded.routes[0]?.match.headers))
})

test('durations and sizes are read in all their forms', async (t) => {
  const cases: readonly (readonly [string, number])[] = [
    ['5m', 300_000],
    ['45', 45_000],
    ['500ms', 500],
    ['PT5M', 300_000],
    ['PT1H30M0.5S', 5_400_500],
    ['1h30m', 5_400_000],
    ['1.5', 1_500],
    ['0.5s', 500],
  ]
  for (const [written, ms] of cases) {
    assert.equal((await config(t, `llm: {defaults: {timeout: 100ms, total_timeout: ${written}}}\n`)).llm.totalTimeoutMs, ms, written)
  }
  assert.equal((await config(t, 'retention: {messages: P1W2DT1H}\n')).retention.messagesMs, 781_200_000)
  for (const [written, bytes] of [
    ['1MiB', 1_048_576],
    ['2 MB', 2_000_000],
    ['4096', 4_096],
    ['1.5KiB', 1_536],
  ] as const) {
    assert.equal((await config(t, `server: {body_limit: ${written}}\n`)).server.bodyLimitBytes, bytes, written)
  }
})

test('variables are filled in, with defaults and escapes, as the kind that is wanted', async (t) => {
  const yaml = [
    'project: ${NAME}-${SUFFIX:-dev}',
    'version: "$${NAME} ${EMPTY:-x}"',
    'server: {port: "${PORT}", insecure_http: "${YES}"}',
    'agents:',
    '  a:',
    '    prompt: |',
    '      You are ${NAME}.',
    '      Be kind.',
    '',
  ].join('\n')
  const loaded = await config(t, yaml, { NAME: 'n: [a]', PORT: '8123', YES: 'true', EMPTY: '' })
  assert.equal(loaded.project, 'n: [a]-dev')
  assert.equal(loaded.version, '${NAME} x')
  assert.equal(loaded.server.port, 8123)
  assert.equal(loaded.server.insecureHttp, true)
  assert.equal(loaded.agents[0]?.prompt, 'You are n: [a].\nBe kind.\n')
})

test('a number stays as written where text is wanted', async (t) => {
  const loaded = await config(t, 'version: 1.0\nroutes:\n  - {match: {sender: 0042}, agent: assistant}\n')
  assert.equal(loaded.version, '1.0')
  assert.equal(loaded.routes[0]?.match.sender, '0042')
})

test('the environment overrides the file', async (t) => {
  const yaml = 'server: {port: 1, host: a, metrics_port: 2}\nlog: {level: warn}\n'
  const env = {
    OPENCLAW_PORT: '0',
    OPENCLAW_HOST: '::1',
    OPENCLAW_METRICS_PORT: '9',
    OPENCLAW_LOG_LEVEL: 'debug',
    OPENCLAW_LOG_FORMAT: 'text',
  }
  const loaded = await config(t, yaml, env)
  assert.deepEqual([loaded.server.port, loaded.server.host, loaded.server.metricsPort], [0, '::1', 9])
  assert.deepEqual(loaded.log, { level: 'debug', format: 'text' })
  assert.equal((await config(t, yaml, { OPENCLAW_PORT: '' })).server.port, 1)
})

test('where traces go is taken from the environment, our own variable first', async (t) => {
  const yaml = 'observability: {opentelemetry: {endpoint: "http://a:1", service_name: s, sample_ratio: 0.5}}\n'
  const tracing = async (env: { readonly [name: string]: string }): Promise<unknown> => (await config(t, yaml, env)).tracing
  assert.deepEqual(await tracing({}), { endpoint: 'http://a:1', serviceName: 's', sampleRatio: 0.5 })
  assert.partialDeepStrictEqual(await tracing({ OTEL_ENDPOINT: 'http://b:2' }), { endpoint: 'http://b:2' })
  assert.partialDeepStrictEqual(await tracing({ OPENCLAW_OTEL_ENDPOINT: 'http://c:3', OTEL_ENDPOINT: 'http://b:2' }), {
    endpoint: 'http://c:3',
  })
})

test('a gateway whose port the environment chose leaves the port for scrapes to others, unless told', async (t) => {
  assert.equal((await config(t, null, { OPENCLAW_PORT: '8401' })).server.metricsPort, null)
  assert.equal((await config(t, 'server: {metrics_port: 9191}\n', { OPENCLAW_PORT: '8401' })).server.metricsPort, 9191)
  assert.equal((await config(t, null, { OPENCLAW_PORT: '8401', OPENCLAW_METRICS_PORT: '9191' })).server.metricsPort, 9191)
  assert.equal((await config(t, 'server: {metrics_port: 0}\n')).server.metricsPort, null)
})

test('keys of well-known providers are taken from the environment, the file has the last word', async (t) => {
  const env = { OPENAI_API_KEY: 'from-env', ANTHROPIC_API_KEY: 'a' }
  assert.deepEqual((await config(t, null, env)).llm.providers, {
    openai: { wire: 'openai-chat', baseUrl: null, apiKey: 'from-env', headers: {} },
    anthropic: { wire: 'anthropic', baseUrl: null, apiKey: 'a', headers: {} },
  })
  assert.equal((await config(t, 'llm:\n  providers:\n', env)).llm.providers['openai']?.apiKey, 'from-env')
  assert.equal((await config(t, 'llm: {providers: {openai: {api_key: mine}}}\n', env)).llm.providers['openai']?.apiKey, 'mine')
})

test('models are named with or without their provider', async (t) => {
  const yaml = `
llm:
  providers:
    openai: {models: [gpt-4o, gpt-4o-mini], rate_limit: 500/min}
    anthropic: {models: [claude-3.5-sonnet]}
    ollama: {base_url: "http://ollama:11434", models: ["llama3.1:70b"]}
    router: {base_url: "https://r.example/api/v1/", models: [meta/llama], api: responses, headers: {X-Title: t}}
  defaults: {primary: gpt-4o, fallback: [claude-3.5-sonnet, "llama3.1:70b", meta/llama, openai/o9], max_retries: 1}
  prices: {gpt-4o: {input_usd: 2.5, output_usd: 10, cache_read_usd: 1.25}}
agents:
  a: {model: gpt-4o-mini, fallback: [ollama/other]}
`
  const { llm, agents } = await config(t, yaml)
  assert.equal(llm.primary, 'openai/gpt-4o')
  assert.deepEqual(llm.fallback, ['anthropic/claude-3.5-sonnet', 'ollama/llama3.1:70b', 'router/meta/llama', 'openai/o9'])
  assert.deepEqual(agents[0]?.models, ['openai/gpt-4o-mini', 'ollama/other'])
  assert.deepEqual(llm.prices, { 'openai/gpt-4o': { input: 2.5, output: 10, cacheRead: 1.25 } })
  assert.equal(llm.providers['ollama']?.baseUrl, 'http://ollama:11434/v1')
  assert.deepEqual(llm.providers['router'], {
    wire: 'openai-responses',
    baseUrl: 'https://r.example/api/v1',
    apiKey: null,
    headers: { 'X-Title': 't' },
  })
})

test('routes are read in both forms, with their places', async (t) => {
  const yaml = `
agents: {slack-agent: {}, b: {}}
rules:
  - match: {header: "X-Channel-ID", equals: "slack"}
    route: {target: "slack-agent", transform: normalize-to-envelope}
  - match:
      channel: http
      account: "tenant-*"
      header: {X-A: "1", X-B: "*"}
      metadata: {"order.total": 5, vip: true, plan: null}
      topic: "user.*.#"
    agent: b
`
  const { routes, fallbacks } = await config(t, yaml)
  assert.deepEqual(fallbacks, {})
  assert.deepEqual(routes, [
    { id: 'rules[0]', match: { headers: { 'x-channel-id': 'slack' } }, agent: 'slack-agent', tenant: 'default', origin: 'openclaw.yaml:5' },
    {
      id: 'rules[1]',
      match: {
        channel: 'http',
        account: 'tenant-*',
        headers: { 'x-a': '1', 'x-b': '*' },
        metadata: { 'order.total': 5, vip: true, plan: null },
        topic: 'user.*.#',
      },
      agent: 'b',
      tenant: 'default',
      origin: 'openclaw.yaml:12',
    },
  ])
})

test('what no route matches goes to the only agent when there are no routes, and nowhere otherwise', async (t) => {
  assert.deepEqual((await config(t, 'agents: {a: {}}\n')).fallbacks, { default: 'a' })
  assert.deepEqual((await config(t, 'agents: {a: {}}\nfallback: null\n')).fallbacks, {})
  assert.deepEqual((await config(t, 'agents: {a: {}, b: {}}\n')).fallbacks, {})
  assert.deepEqual((await config(t, 'agents: {a: {}}\nroutes: [{match: {}, agent: a}]\n')).fallbacks, {})
  assert.deepEqual((await config(t, 'agents: {a: {}, b: {}}\nfallback: b\n')).fallbacks, { default: 'b' })
})

test('agents and accounts belong to a tenant, and what no route matches goes to the only agent of its tenant', async (t) => {
  const loaded = await load(
    t,
    'agents: {a: {}, shop: {tenant: acme}, one: {tenant: big}, two: {tenant: big}}\nroutes: [{match: {}, agent: a}]\nchannels: {till: {kind: x, tenant: acme}, desk: {kind: x}}\n',
  )
  const { agents, channels, routes, fallbacks } = loaded.config
  assert.deepEqual(
    agents.map(({ name, tenant }) => `${tenant}/${name}`),
    ['default/a', 'acme/shop', 'big/one', 'big/two'],
  )
  assert.deepEqual(
    channels.map(({ name, tenant, settings }) => [name, tenant, settings]),
    [
      ['till', 'acme', {}],
      ['desk', 'default', {}],
    ],
  )
  assert.equal(routes[0]?.tenant, 'default')
  assert.deepEqual(fallbacks, { acme: 'shop' })
  assert.deepEqual(loaded.vainTenant('till').map(formatFault), [
    'openclaw.yaml:3:28 channels.till.tenant: a tenant, expected none: whoever writes to this channel brings the tenant of their key',
  ])
  assert.deepEqual(loaded.vainTenant('desk'), [])
  assert.deepEqual(loaded.vainAccess('till'), [], 'a tenant is no access rule')
  const named = 'agents: {a: {}, shop: {tenant: acme}, one: {tenant: big}, two: {tenant: big}}\n'
  assert.deepEqual((await config(t, `${named}fallback: two\n`)).fallbacks, { default: 'a', acme: 'shop', big: 'two' })
  assert.deepEqual((await config(t, `${named}fallback: null\n`)).fallbacks, {})
})

test('a channel is of the kind of its name unless it says otherwise, and its settings are checked by the kind', async (t) => {
  const loaded = await load(t, 'channels:\n  phone: {token: abc}\n  work: {kind: phone, tokn: x}\n')
  assert.deepEqual(loaded.config.channels, [
    { name: 'phone', kind: 'phone', tenant: 'default', access: defaultPolicy, settings: { token: 'abc' } },
    { name: 'work', kind: 'phone', tenant: 'default', access: defaultPolicy, settings: { tokn: 'x' } },
  ])
  const schema = { type: 'object', properties: { token: { type: 'string' } }, required: ['token'], additionalProperties: false }
  assert.deepEqual(loaded.checkChannel('phone', schema).faults, [])
  assert.deepEqual(loaded.checkChannel('work', schema).faults.map(formatFault), [
    'openclaw.yaml:3:9 channels.work.token: nothing, expected "token" here',
    'openclaw.yaml:3:23 channels.work.tokn: unknown key "tokn", expected one of token. Did you mean "token"?',
  ])
  assert.throws(() => loaded.checkChannel('work', { ...schema, minProperties: 1 }), /"minProperties" is not known/)
})

test('the effective configuration says where each value came from and masks secrets', async (t) => {
  const yaml =
    'server:\n  port: 81\nllm:\n  providers:\n    openai:\n      api_key: ${KEY}\n      headers: {Authorization: Bearer hidden99}\nchannels:\n  q: {url: "amqp://u:pass99@h/"}\nskills:\n  entries:\n    weather: {secrets: {STATION: rainy-hidden99}}\n'
  const loaded = await load(t, yaml, { KEY: 'sk-hidden99', OPENCLAW_LOG_LEVEL: 'warn' })
  const text = effective(loaded)
  assert.doesNotMatch(text, /hidden99|pass99/)
  assert.match(text, /^ {2}port: 81 +# openclaw\.yaml:2$/m)
  assert.match(text, /^ {2}level: "warn" +# env OPENCLAW_LOG_LEVEL$/m)
  assert.match(text, /^ {2}host: "127\.0\.0\.1" +# default$/m)
  assert.match(text, /^ {6}api_key: "\*\*\*" +# openclaw\.yaml:6 \(env KEY\)$/m)
  assert.match(text, /^ {4}url: "amqp:\/\/\*\*\*@h\/"/m)
  const values = new Map(effectiveValues(loaded).map(({ path, value, origin }) => [path, [value, origin]]))
  assert.deepEqual(values.get('llm.providers.openai.api_key'), ['***', 'openclaw.yaml:6 (env KEY)'])
  assert.deepEqual(loaded.secrets.toSorted(), ['Bearer hidden99', 'pass99', 'rainy-hidden99', 'sk-hidden99'])
})

test('a password in an address is known whole, as it is written and as it is meant, and shown nowhere', async (t) => {
  const yaml = `channels:
  one: { kind: amqp, url: "amqp://ann:hunt@er2@mq/" }
  two: { kind: amqp, url: "amqp://ann:hunt%21er3@mq/, amqp://bob:hunter4@mq/" }
`
  const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': yaml }), env: {} })
  assert.ok(loaded.ok)
  for (const secret of ['hunt@er2', 'hunt%21er3', 'hunt!er3', 'hunter4']) assert.ok(loaded.secrets.includes(secret), secret)
  assert.doesNotMatch(effective(loaded), /er[234]/)
})

test('the effective configuration is itself a configuration', async (t) => {
  const yaml =
    'agents:\n  "a.b": {prompt: "x: ${Y:-#1}"}\nroutes:\n  - match: {sender: "*"}\n    agent: a.b\nchannels: {c: {list: [1, {d: 2}]}}\n'
  const loaded = await load(t, yaml)
  assert.deepEqual((await load(t, effective(loaded))).settings, loaded.settings)
})

test('an agent declared as JSON is checked like one in the file, with pointers', () => {
  const result = agentFromDeclaration(
    { tenant: 'acme', name: 'my-agent' },
    { name: 'my-agent', version: '1.0', capabilities: ['process', 'scale'] },
  )
  assert.ok(result.ok)
  assert.deepEqual(result.agent.capabilities, ['process', 'scale'])
  assert.equal(result.agent.tenant, 'acme')
  assert.equal(result.agent.limits.maxSteps, 20)
  const wrong = agentFromDeclaration({ tenant: 'acme', name: 'bad name' }, { limits: { max_steps: 0 }, skils: [], capabilities: [1] })
  assert.deepEqual(wrong.ok ? [] : wrong.faults.map((fault) => fault.pointer), [
    '#/name',
    '#/limits/max_steps',
    '#/skils',
    '#/capabilities/0',
  ])
  assert.match(wrong.ok ? '' : (wrong.faults[2]?.detail ?? ''), /did you mean "skills"\?$/)
  const claimed = agentFromDeclaration({ tenant: 'acme', name: 'a' }, { tenant: 'default' })
  assert.deepEqual(claimed.ok ? [] : claimed.faults.map(({ pointer }) => pointer), ['#/tenant'], 'whose it is, no declaration says')
  assert.equal(agentFromDeclaration({ tenant: 'acme', name: 'a' }, { fallback: ['x/y'] }).ok, false)
  assert.equal(agentFromDeclaration({ tenant: 'acme', name: 'a' }, { model: 'x/y', fallback: ['x/z'] }).ok, true)
})

test('the folder of the gateway is where OPENCLAW_DIR points, else where it was started', () => {
  assert.equal(gatewayDir({}, '/srv/x'), '/srv/x')
  assert.equal(gatewayDir({ OPENCLAW_DIR: 'data' }, '/srv/x'), '/srv/x/data')
  assert.equal(gatewayDir({ OPENCLAW_DIR: '/data' }, '/srv/x'), '/data')
})
