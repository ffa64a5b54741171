/** What is shipped for Prometheus and Grafana, held against a gateway that runs and by Prometheus' own tool. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { parse } from 'yaml'
import { answerTo, post } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'
import { facilities } from '../support/machine.ts'
import { coming, documented } from '../support/metric-docs.ts'
import { suiteScope } from '../support/suite-scope.ts'

const deploy = join(import.meta.dirname, '..', '..', 'deploy')
const rules = join(deploy, 'prometheus', 'openclaw.rules.yml')
const promtool = facilities(process.env).find(({ name }) => name === 'promtool')?.path ?? null
const skip = promtool === null && process.env['CI'] !== 'true' ? 'promtool is not here' : false

/** What it said, after it ended well. */
async function checked(args: readonly string[], input = ''): Promise<string> {
  assert.ok(promtool !== null, 'promtool is missing')
  const child = spawn(promtool, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stdin.end(input)
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  assert.equal(code, 0, said)
  return said
}

interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly panels: readonly {
    readonly id: number
    readonly title: string
    readonly type: string
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
    readonly datasource: { readonly type: string; readonly uid: string }
    readonly targets: readonly { readonly expr: string; readonly refId: string; readonly legendFormat: string }[]
  }[]
}
const dashboardDir = join(deploy, 'grafana', 'dashboards')
const dashboards = readdirSync(dashboardDir).map((file) => JSON.parse(readFileSync(join(dashboardDir, file), 'utf8')) as Dashboard)
type Group = { readonly rules: readonly { readonly alert?: string; readonly expr: string }[] }
const { groups } = parse(readFileSync(rules, 'utf8')) as { readonly groups: readonly Group[] }
const recorded = [...readFileSync(rules, 'utf8').matchAll(/- record: (\S+)/g)].map(([, name]) => name ?? '')

/** Names of metrics in an expression: what is neither a function, nor a word of PromQL, nor a label. */
function metricsOf(expr: string): readonly string[] {
  const bare = expr
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
  return [...bare.matchAll(/[a-z_:][a-z0-9_:]*(?!\s*\(|[a-z0-9_:])/g)].map(([name]) => name).filter((name) => name.includes('_'))
}
/** Each `metric{label op "value"}`, an alternation taken apart. Labels of Prometheus' own and classes of HTTP's statuses are no matter. */
function matchersOf(expr: string): readonly { readonly name: string; readonly label: string; readonly value: string }[] {
  return [...expr.matchAll(/([a-z_:][a-z0-9_:]*)\{([^}]*)\}/g)].flatMap(([, name = '', inside = '']) =>
    [...inside.matchAll(/(\w+)\s*[=!]~?\s*"([^"]*)"/g)].flatMap(([, label = '', values = '']) =>
      ['job', 'le'].includes(label) || /^[1-5]\.\.$/.test(values) ? [] : values.split('|').map((value) => ({ name, label, value })),
    ),
  )
}
const familyOf = (name: string): string => (documented.has(name) || coming.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ''))

describe('what is shipped for Prometheus and Grafana', { skip, timeout: 120_000 }, () => {
  const scope = suiteScope()
  let scraped = ''
  let gateway: Awaited<ReturnType<typeof startGateway>>

  before(async () => {
    gateway = await startGateway(scope, { config: { observability: { opentelemetry: { endpoint: 'http://127.0.0.1:9' } } } })
    await answerTo(gateway, 'hello')
    await post(gateway, '/v1/skills/echo/invoke', { input: { text: 'hello' } })
    await post(gateway, '/v1/skills/nonesuch/invoke', { input: {} })
    await fetch(`${gateway.url}/v1/messages`)
    scraped = await (await gateway.fetch('/api/metrics')).text()
  })

  test('promtool finds nothing to say about a live scrape', async () => {
    assert.equal(await checked(['check', 'metrics'], scraped), '')
  })

  test('every metric of a live scrape is in docs/metrics.md, by its type and labels', () => {
    const types = [...scraped.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({ name, type }))
    assert.ok(types.length > 40, `only ${types.length}`)
    for (const { name, type } of types) {
      assert.equal(documented.get(name)?.type, type, name)
      const labels = new RegExp(`^${name}(?:_count)?(?:\\{([^}]*)\\})? `, 'm').exec(scraped)?.[1] ?? ''
      assert.deepEqual(
        [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label),
        documented.get(name)?.labels,
        name,
      )
    }
  })

  test('the metrics that seeds and autoscalers know by name are there', () => {
    const names =
      `http_requests_total websocket_connections_active http_errors_total queue_depth openclaw_events_pending openclaw_agent_uptime_seconds
      openclaw_agent_runs_total openclaw_agent_run_duration_seconds_bucket openclaw_llm_tokens_total openclaw_llm_latency_seconds_bucket
      openclaw_events_emitted_total openclaw_events_consumed_total openclaw_restarts_total openclaw_build_info openclaw_channel_up openclaw_messages_total
      openclaw_message_latency_seconds_bucket openclaw_queue_depth openclaw_dead_letters openclaw_dead_letters_total openclaw_auth_failures_total
      openclaw_skill_invocations_total openclaw_skill_duration_seconds_bucket openclaw_sandbox_active`.split(/\s+/)
    assert.deepEqual(
      names.filter((name) => !new RegExp(`^${name}[ {]`, 'm').test(scraped)),
      [],
    )
    assert.match(scraped, /^openclaw_skill_invocations_total\{skill="echo",status="ok"\} 1$/m)
    assert.match(scraped, /^openclaw_restarts_total\{agent="assistant"\} 0$/m)
    assert.doesNotMatch(scraped, /nonesuch/)
  })

  test('the rules are without fault and do what their unit tests say', async () => {
    await checked(['check', 'rules', '--lint-fatal', rules])
    await checked(['check', 'config', join(deploy, 'prometheus', 'prometheus.yml')])
    await checked(['test', 'rules', join(deploy, 'prometheus', 'rules.test.yml')])
  })

  test('the scrape from another machine is without fault, and its key opens what it asks for', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'openclaw-'))
    t.after(() => rmSync(dir, { recursive: true }))
    const file = join(deploy, 'prometheus', 'prometheus.remote.yml')
    const { scrape_configs } = parse(readFileSync(file, 'utf8')) as {
      readonly scrape_configs: readonly {
        readonly metrics_path: string
        readonly authorization: { readonly type?: string; readonly credentials_file: string }
      }[]
    }
    const [scrape] = scrape_configs
    assert.ok(scrape)
    const made = await gateway.fetch('/v1/keys', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'prometheus', scopes: ['metrics:read'] }),
    })
    const { secret } = (await made.json()) as { readonly secret: string }
    writeFileSync(join(dir, scrape.authorization.credentials_file), `${secret}\n`)
    for (const name of ['prometheus.remote.yml', 'openclaw.rules.yml']) cpSync(join(deploy, 'prometheus', name), join(dir, name))
    await checked(['check', 'config', join(dir, 'prometheus.remote.yml')])
    const key = readFileSync(join(dir, scrape.authorization.credentials_file), 'utf8').trim()
    const headers = { authorization: `${scrape.authorization.type ?? 'Bearer'} ${key}` }
    const answer = await fetch(gateway.url + scrape.metrics_path, { headers })
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/plain; version=0.0.4; charset=utf-8'])
    assert.equal((await fetch(`${gateway.url}/v1/agents`, { headers })).status, 403, 'and nothing else')
  })

  test('every alert is over metrics that there are, and has a unit test in which it fires', () => {
    type Case = { readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts?: readonly unknown[] }[] }
    const { tests } = parse(readFileSync(join(deploy, 'prometheus', 'rules.test.yml'), 'utf8')) as { readonly tests: readonly Case[] }
    const alerts = new Set(groups.flatMap((group) => group.rules.flatMap(({ alert }) => alert ?? [])))
    assert.ok(['AgentDown', 'HighFailureRate', 'LLMBudgetExceeded', 'AgentRestartLoop'].every((name) => alerts.has(name)))
    const cases = tests.flatMap((one) => one.alert_rule_test ?? [])
    for (const alert of alerts) {
      const firing = cases.filter(({ alertname, exp_alerts }) => alertname === alert && exp_alerts !== undefined)
      assert.ok(firing.length > 0, `${alert} fires nowhere`)
    }
    for (const { expr } of groups.flatMap((group) => group.rules))
      for (const name of metricsOf(expr)) assert.ok(recorded.includes(name) || documented.has(familyOf(name)), `${name} is no metric`)
  })

  test('the dashboards have the shape that Grafana reads', () => {
    assert.deepEqual(dashboards.map(({ uid }) => uid).sort(), ['openclaw-fleet', 'openclaw-gateway', 'openclaw-webhooks'])
    const fleet = dashboards.find(({ title }) => title === 'OpenClaw Agent Fleet')
    assert.deepEqual(
      fleet?.panels.slice(0, 4).map(({ title, type }) => `${title}: ${type}`),
      [
        'Agent Status Overview: stat',
        'Run Success Rate (24h): gauge',
        'LLM Cost per Agent (Daily): timeseries',
        'Run Duration (p95): timeseries',
      ],
    )
    for (const { uid, schemaVersion, panels } of dashboards) {
      assert.ok(schemaVersion >= 39, uid)
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, uid)
      assert.equal(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size, panels.length, uid)
      for (const { title, datasource, targets, gridPos } of panels) {
        assert.deepEqual(datasource, { type: 'prometheus', uid: '${datasource}' }, title)
        assert.ok(targets.length > 0 && targets.every(({ legendFormat }) => legendFormat !== ''), title)
        assert.ok(gridPos.x + gridPos.w <= 24 && gridPos.h > 0, title)
      }
    }
  })

  test('every expression of a dashboard is PromQL, over metrics that there are', async (t) => {
    const exprs = dashboards.flatMap(({ panels }) => panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)))
    const wrapped = exprs.map((expr, at) => `      - record: panel:${at}\n        expr: ${JSON.stringify(expr)}\n`).join('')
    const dir = mkdtempSync(join(tmpdir(), 'openclaw-'))
    t.after(() => rmSync(dir, { recursive: true }))
    const file = join(dir, 'panels.rules.yml')
    writeFileSync(file, `groups:\n  - name: panels\n    rules:\n${wrapped}`)
    await checked(['check', 'rules', file])
    for (const name of exprs.flatMap(metricsOf)) {
      const isKnown = recorded.includes(name) || documented.has(familyOf(name)) || coming.has(familyOf(name))
      assert.ok(isKnown, `${name} is no metric`)
    }
    const ruled = groups.flatMap((group) => group.rules.map(({ expr }) => expr))
    const matchers = [...exprs, ...ruled].flatMap(matchersOf)
    assert.ok(matchers.length >= 6, `only ${matchers.length} matchers`)
    for (const { name, label, value } of matchers) {
      const family = familyOf(name)
      assert.ok(documented.get(family)?.labels.includes(label), `${name} has no label ${label}`)
      const isSeen = new RegExp(`^${family}\\w*\\{[^}]*\\b${label}="${value}"`, 'm').test(scraped)
      // Values of a closed set stand in the metric's row; a value that was seen is one too.
      assert.ok(isSeen || documented.get(family)?.words.has(value), `${name} never has ${label}="${value}"`)
    }
    assert.deepEqual(metricsOf('sum by (le, some_label) (rate(a_total{b_c="d"}[5m])) > on () x_y:z_w'), ['a_total', 'x_y:z_w'])
  })

  test('the provisioning files are YAML of the version that Grafana reads', () => {
    for (const file of ['dashboards/openclaw.yml', 'datasources/prometheus.yml']) {
      const text = readFileSync(join(deploy, 'grafana', 'provisioning', file), 'utf8')
      assert.equal((parse(text) as { readonly apiVersion: number }).apiVersion, 1, file)
    }
  })
})
