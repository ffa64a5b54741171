/**
 * The Express application, made of the route table: one Express route for each path with all its other names, so that methods that
 * are not in the table answer 405. What the table does not know is a file of the console or a 404.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import express from 'express'
import { ConflictError, InvalidError, NotFoundError, PERMISSIONS } from '#contract'
import type { Route, UpgradeRoute } from '#contract'
import { writeEmpty, writeProblem } from './answer.ts'
import type { ConsoleFiles } from './console-files.ts'
import { identify } from './endpoint.ts'
import type { Door, Endpoint, Identified } from './endpoint.ts'
import { requestIdOf } from './exchange.ts'
import type { QuotaFields } from './limits.ts'
import { ProtocolError, problemOf } from './problem.ts'

export interface Table {
  readonly endpoints: readonly Endpoint[]
  readonly upgrades: readonly UpgradeRoute[]
  readonly files: ConsoleFiles
  readonly door: Door
}

/** The handler for `http.createServer`. The first rows of the table are found fastest. */
export function buildApp(table: Table): (request: IncomingMessage, response: ServerResponse) => void {
  const { door, files } = table
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.set('case sensitive routing', true)

  for (const [path, rows] of byPath(table.endpoints)) {
    const endpoints = new Map<string, Endpoint>(rows.map((row) => [row.route.method, row]))
    const get = endpoints.get('GET')
    if (get !== undefined) endpoints.set('HEAD', get)
    const allow = [...endpoints.keys(), 'OPTIONS'].sort().join(', ')
    const names = rows.flatMap(({ route }) => [path, ...(route.aliases ?? [])]).flatMap(mountedAs)
    app.route([...new Set(names)].map(expressPath)).all((request, response) => {
      const endpoint = endpoints.get(request.method)
      if (endpoint !== undefined) void endpoint.serve(request, response, request.params)
      else void answerOther(request, response, { door, path, respond: (told) => notAllowed(request, response, told, allow) })
    })
  }
  for (const { path } of table.upgrades) {
    app.route(mountedAs(path).map(expressPath)).all((request, response) => {
      void answerOther(request, response, { door, path, respond: (told) => noUpgrade(request, response, told) })
    })
  }
  app.use((request: IncomingMessage, response: ServerResponse) => {
    void answerOther(request, response, {
      door,
      path: 'none',
      isFile: (id) => files.serve(request, response, id),
      respond: () => {
        throw new NotFoundError('There is nothing at this path.', { code: 'NOT_FOUND' })
      },
    })
  })
  // Express tells an error handler by its four parameters. What comes here is a path that cannot be decoded.
  app.use((_error: unknown, request: IncomingMessage, response: ServerResponse, _next: () => void) => {
    void answerOther(request, response, {
      door,
      path: 'none',
      respond: () => {
        throw new ProtocolError('The path is not properly percent-encoded.', { code: 'INVALID_PATH', slug: 'invalid-request' })
      },
    })
  })
  return app
}

/** Under which paths a path of the table can be reached. */
export const mountedAs = (path: string): readonly string[] => (path.startsWith('/v1/') ? [path, `/api${path}`] : [path])

/** The types say it too, but what spokes and later versions bring is not always checked by them. @throws InvalidError */
export function checkPermission({ path, permission }: Pick<Route | UpgradeRoute, 'path' | 'permission'>, others: readonly string[]): void {
  const known: readonly string[] = [...PERMISSIONS, ...others]
  if (known.includes(permission)) return
  throw new InvalidError(`The route ${path} states no permission that there is, so it is not mounted.`, {
    code: 'ROUTE_WITHOUT_PERMISSION',
  })
}

const expressPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1')

/** Paths without parameters come first, or `{id}` would take them. */
function byPath(endpoints: readonly Endpoint[]): ReadonlyMap<string, readonly Endpoint[]> {
  const paths = new Map<string, Endpoint[]>()
  for (const { route } of endpoints) checkPermission(route, ['public', 'signed'])
  for (const fixed of [true, false]) {
    for (const endpoint of endpoints) {
      const { method, path } = endpoint.route
      if (path.includes('{') === fixed) continue
      const rows = paths.get(path)
      if (rows === undefined) paths.set(path, [endpoint])
      else if (rows.some((row) => row.route.method === method)) {
        throw new ConflictError(`Two routes claim ${method} ${path}.`, { code: 'ROUTE_CLAIMED_TWICE' })
      } else rows.push(endpoint)
    }
  }
  return paths
}

/** What the answer's header says whatever the answer is. */
interface Told {
  readonly id: string
  readonly quota: QuotaFields
  /** What the page that asks may do, of these methods. */
  permits(allow: string): { readonly [name: string]: string }
}

function notAllowed(request: IncomingMessage, response: ServerResponse, told: Told, allow: string): void {
  // RFC 9110 §9.3.7. To a page that may ask, also what CORS wants to know; to all others no word of it.
  if (request.method === 'OPTIONS') return writeEmpty(response, { ...told, status: 204, headers: { allow, ...told.permits(allow) } })
  throw new ProtocolError(`${request.method ?? 'This method'} is not allowed here.`, {
    code: 'METHOD_NOT_ALLOWED',
    slug: 'method-not-allowed',
    headers: { allow },
  })
}

/** RFC 9110 §15.5.22. Who does upgrade comes in by another door (`upgrade.ts`). */
function noUpgrade(request: IncomingMessage, response: ServerResponse, told: Told): void {
  if (request.method !== 'GET') return notAllowed(request, response, told, 'GET, OPTIONS')
  throw new ProtocolError('There is a WebSocket at this path, and nothing for other requests.', {
    code: 'UPGRADE_REQUIRED',
    slug: 'upgrade-required',
    headers: { upgrade: 'websocket', connection: 'upgrade' },
  })
}

interface Other {
  readonly door: Door
  readonly path: string
  /** True: it is answered. The page's own files cost less than counting them. */
  readonly isFile?: (id: string) => boolean
  readonly respond: (told: Told) => void
}

/** Requests that no route of the table serves: guarded, counted, answered and recorded as those are. */
async function answerOther(request: IncomingMessage, response: ServerResponse, { door, path, isFile, respond }: Other): Promise<void> {
  const startedAt = performance.now()
  const id = requestIdOf(request.headers)
  let known: Identified = { proven: null, quota: [] }
  if (door.isStopping) response.shouldKeepAlive = false
  try {
    door.guard.checkHost(request)
    if (isFile?.(id) !== true) {
      door.guard.welcome(request, response)
      known = await identify(door, { request, ip: door.addresses.of(request) })
      respond({ id, quota: known.quota, permits: (allow) => door.guard.permits(request.headers, allow) })
    }
  } catch (error) {
    writeProblem(response, id, { ...problemOf(error, id, door.redact), quota: known.quota })
  }
  door.meter.record({
    id,
    method: KNOWN_METHODS.has(request.method ?? '') ? (request.method ?? '') : 'OTHER',
    route: path,
    status: response.statusCode,
    startedAt,
    principal: known.proven?.principal ?? null,
    traceparent: undefined,
  })
}

/** Method names come from outside, labels from closed sets. */
const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
