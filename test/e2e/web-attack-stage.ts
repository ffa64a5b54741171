/**
 * The scene of the attacks from web pages: a real gateway, a real Chromium in which its operator is signed in, and somebody else's web
 * server on the same machine. What a page breaks of its policy is kept with the page, what the gateway refused is read from its metrics.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { chromium, type BrowserContext, type Frame, type Page } from 'playwright-core'
import { CHROMIUM, FLAGS } from '../console/browser.ts'
import { startGateway, type GatewayProcess, type Scope } from '../support/gateway-process.ts'

export const skip: string | false = existsSync(CHROMIUM) ? false : `${CHROMIUM} is missing`

/** A name of somebody else's, which leads to this machine; by it the browser comes to the hostile server or, rebound, to the gateway. */
export const STRANGER = 'evil.example'

export class HostileSite {
  /** What anybody asked of it: method, path with query, and header fields that may tell a secret. */
  readonly asked: string[] = []
  readonly #server: Server = createServer((request, response) => {
    const { authorization, cookie, referer } = request.headers
    this.asked.push([request.method, request.url, authorization, cookie, referer].filter(Boolean).join(' '))
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Prizes</title><body>You have won.')
  })

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async start(scope: Scope): Promise<void> {
    this.#server.on('upgrade', (request, socket) => {
      this.asked.push(`UPGRADE ${request.url ?? ''} ${request.headers['sec-websocket-protocol'] ?? ''}`)
      socket.destroy()
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    scope.after(async () => {
      this.#server.closeAllConnections()
      this.#server.close()
    })
  }
}

export interface Stage {
  readonly gateway: GatewayProcess
  readonly context: BrowserContext
  /** The operator's own page, signed in and connected. */
  readonly own: Page
  readonly site: HostileSite
  /** Pages of somebody else's: another port of this machine, whose requests carry its cookies, and another name. */
  readonly origins: readonly string[]
  readonly metricsPort: number
}

export async function setStage(scope: Scope): Promise<Stage> {
  const metricsPort = await freePort()
  const gateway = await startGateway(scope, { env: { OPENCLAW_METRICS_PORT: String(metricsPort) } })
  const site = new HostileSite()
  await site.start(scope)
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    // Chromium's own fences around this machine are down, as in browsers without them: what holds has to be ours.
    args: [
      ...FLAGS,
      '--disable-features=LocalNetworkAccessChecks,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable',
      `--host-resolver-rules=MAP ${STRANGER} 127.0.0.1`,
    ],
  })
  scope.after(() => browser.close())
  const context = await browser.newContext({ locale: 'en-GB' })
  context.setDefaultTimeout(30_000)
  await context.addInitScript(
    "window.broken = []; addEventListener('securitypolicyviolation', (event) => broken.push(event.effectiveDirective + ' ' + event.blockedURI))",
  )
  const own = await context.newPage()
  await own.goto(/http:\S+#code=\S+/.exec(gateway.output())?.[0] ?? assert.fail(gateway.output()))
  await own.getByText('Online', { exact: true }).waitFor()
  return { gateway, context, own, site, origins: [`http://127.0.0.1:${site.port}`, `http://${STRANGER}:${site.port}`], metricsPort }
}

/** The gateway tells its own by number only, so one is looked for beforehand. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Runs a function, given as source, in the page with that argument. */
export const inPage = <Result>(page: Page | Frame, source: string, argument: unknown): Promise<Result> =>
  page.evaluate<Result>(`(${source})(${JSON.stringify(argument)})`)

/** What the page tried against its policy: `connect-src http://…`. */
export const broken = (page: Page): Promise<readonly string[]> => page.evaluate<string[]>('window.broken')

const RECORDS = ['messages', 'audit', 'keys', 'roles', 'webhooks', 'revocations', 'sessions', 'agents', 'channels', 'dead-letters', 'runs']

/** All that can be changed from outside, as the gateway tells it; when a key was used last is no change. */
export async function records({ gateway }: Stage): Promise<string> {
  const texts = await Promise.all(
    ['routes', 'limits', ...RECORDS.map((name) => `${name}?limit=200`)].map(async (name) => {
      const response = await gateway.fetch(`/v1/${name}`)
      assert.equal(response.status, 200, name)
      return `${name}: ${await response.text()}`
    }),
  )
  return texts.join('\n').replaceAll(/"last_used_at":"[^"]*"/g, '"last_used_at":null')
}

/** How often the gateway refused for that reason. */
export async function refused({ gateway }: Stage, reason: string): Promise<number> {
  const series = `openclaw_auth_failures_total{reason="${reason}"}`
  return (await counters(gateway)).get(series) ?? 0
}

/** How many GET requests were answered so. */
export async function answered({ gateway }: Stage, status: number): Promise<number> {
  return (await counters(gateway)).get(`http_requests_total{method="GET",status="${status}"}`) ?? 0
}

/** Requests that could change something and were not refused, and all of those that a page may not send unasked. */
export async function carriedOut({ gateway }: Stage): Promise<readonly (readonly [series: string, count: number])[]> {
  const isOne = /^http_requests_total\{method="(POST",status="[1-3]|PUT|PATCH|DELETE)/
  return [...(await counters(gateway))].filter(([series]) => isOne.test(series))
}

async function counters(gateway: GatewayProcess): Promise<ReadonlyMap<string, number>> {
  const text = await (await gateway.fetch('/api/metrics')).text()
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, series, count] = /^(\S+) (\d+)$/.exec(line) ?? []
      return series === undefined ? [] : [[series, Number(count)]]
    }),
  )
}
