/**
 * The OpenAPI 3.1 document, made of the route table when somebody first asks for it. Its schemas are those the requests are checked by
 * (3.1 speaks JSON Schema 2020-12), so that the two cannot differ.
 */
import { idempotencyKeySchema } from '#contract'
import type { JsonObject, JsonValue, Route, UpgradeRoute } from '#contract'
import { PROBLEMS, type Slug } from './problem.ts'

export function openApi(options: {
  readonly routes: readonly Route[]
  readonly upgrades: readonly UpgradeRoute[]
  readonly version: string
}): JsonObject {
  const paths: { [path: string]: { [method: string]: JsonValue } } = {}
  for (const route of options.routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route)
  for (const { path, permission } of options.upgrades) (paths[path] ??= {})['get'] = upgradeOf(path, permission)
  const tags = [...new Set([...options.routes.map((route) => route.tag), ...(options.upgrades.length > 0 ? ['sockets'] : [])])]
  return {
    openapi: '3.1.1',
    info: { title: 'OpenClaw', version: options.version, license: { name: 'MIT', identifier: 'MIT' } },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    servers: [{ url: '/', description: 'Paths under /v1 are also served under /api/v1.' }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', bearerFormat: 'ock_live_<id>_<secret>' },
        page: {
          type: 'apiKey',
          in: 'cookie',
          name: 'openclaw_<port>',
          description: 'Made by POST /v1/console/session. Needs `X-OpenClaw-CSRF: 1` where something is changed.',
        },
      },
      schemas: { Problem: PROBLEM, PlainError: PLAIN_ERROR },
      responses: {
        ...Object.fromEntries(
          Object.entries(PROBLEMS).map(([slug, [, title]]) => [
            slug,
            { description: title, content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
          ]),
        ),
        'plain-error': {
          description: 'It went wrong.',
          content: { 'application/json': { schema: { $ref: '#/components/schemas/PlainError' } } },
        },
      },
    },
  }
}

const PROBLEM: JsonObject = {
  description: 'RFC 9457',
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'instance', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    instance: { type: 'string', description: 'The request id.' },
    code: { type: 'string' },
    errors: {
      type: 'array',
      items: { type: 'object', properties: { pointer: { type: 'string' }, detail: { type: 'string' } }, required: ['pointer', 'detail'] },
    },
  },
}

function operationOf(route: Route): JsonObject {
  const { permission } = route
  return {
    operationId: operationId(route.method, route.path),
    summary: route.summary,
    tags: [route.tag],
    security: permission === 'public' ? [] : [{ key: [] }, { page: [] }],
    'x-openclaw-permission': permission,
    ...(route.aliases !== undefined && { 'x-openclaw-aliases': [...route.aliases] }),
    parameters: parametersOf(route),
    ...(route.body !== undefined && {
      requestBody: {
        required: needsBody(route.body),
        content: contentOf(route, route.body),
      },
    }),
    responses: {
      ...Object.fromEntries(Object.entries(route.responses).map(([status, response]) => [status, responseOf(response)])),
      ...problemsOf(route),
    },
  }
}

/** A merge patch (RFC 7396 §4) may be called so, or plain JSON. */
const contentOf = ({ method, accepts = [] }: Route, schema: JsonObject): JsonObject => ({
  'application/json': { schema },
  ...(method === 'PATCH' && { 'application/merge-patch+json': { schema } }),
  ...Object.fromEntries(accepts.map((type) => [type, {}])),
})

function responseOf(response: Route['responses'][string]): JsonObject {
  const { description, schema, contentType } = response
  if (schema === undefined && contentType === undefined) return { description }
  return { description, content: { [contentType ?? 'application/json']: schema === undefined ? {} : { schema } } }
}

function parametersOf(route: Route): readonly JsonObject[] {
  const path = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name: name ?? '',
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const query = Object.entries(route.query ?? {}).map(([name, schema]) => ({ name, in: 'query', required: false, schema }))
  const key = { name: 'Idempotency-Key', in: 'header', required: false, schema: idempotencyKeySchema }
  return [...path, ...query, ...(route.idempotency === undefined ? [] : [key]), ...(isConditional(route) ? [IF_MATCH] : [])]
}

/** Whether it can fail because of what it was asked for under (RFC 9110 §13.1.1): then that can be asked for. */
const isConditional = ({ responses, problems = [] }: Route): boolean => responses[412] !== undefined || problems.includes(412)

const IF_MATCH: JsonObject = {
  name: 'If-Match',
  in: 'header',
  required: false,
  description: 'An `ETag` of it: only if it is still so, else 412. `*`: only if it is there at all.',
  schema: { type: 'string' },
  example: '*',
}

/** The problems a route can answer, one `$ref` a status: the document names the usual one, the slug tells them apart. */
function problemsOf(route: Route): JsonObject {
  const slugs: string[] = [...EVERYWHERE]
  if (route.permission !== 'public') slugs.push('unauthorized', 'insufficient-scope')
  if (route.path.includes('{')) slugs.push('not-found')
  if (route.body !== undefined) slugs.push('body-too-large', 'unsupported-media-type', 'schema-violation')
  if (route.method !== 'GET' && route.permission !== 'public') slugs.push('conflict')
  if (route.idempotency !== undefined) slugs.push('idempotency-key-reused')
  if (route.errors === 'plain') return plainProblems(route, slugs)
  const problems: { [status: string]: JsonValue } = {}
  for (const [slug, [status]] of Object.entries(PROBLEMS)) {
    const isHere = slugs.includes(slug) || route.problems?.includes(status) === true
    if (isHere && route.responses[status] === undefined) problems[status] ??= { $ref: `#/components/responses/${slug}` }
  }
  return problems
}

/** Those that a request meets before its route, and those that any may end in. */
const EVERYWHERE: readonly Slug[] = [
  'invalid-request',
  'request-timeout',
  'misdirected-request',
  'quota-exceeded',
  'headers-too-large',
  'internal-error',
  'temporary-reduced-capacity',
]

/** The same, for a route whose errors are not ours to shape; what is wrong in a body is 400 there. */
function plainProblems(route: Route, slugs: readonly string[]): JsonObject {
  const problems: { [status: string]: JsonValue } = {}
  for (const [slug, [status]] of Object.entries(PROBLEMS)) {
    const given = status === 422 ? 400 : status
    const isHere = slugs.includes(slug) || route.problems?.includes(status) === true
    if (isHere && route.responses[given] === undefined) problems[given] = { $ref: '#/components/responses/plain-error' }
  }
  return problems
}

const PLAIN_ERROR: JsonObject = {
  description: 'What goes wrong, as clients of the OpenAI API read it.',
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'param', 'code'],
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        param: { type: ['string', 'null'] },
        code: { type: ['string', 'null'] },
      },
    },
  },
}

const upgradeOf = (path: string, permission: string): JsonObject => ({
  operationId: operationId('GET', path),
  summary: 'WebSocket, sub-protocol openclaw.v1',
  tags: ['sockets'],
  security: [{ key: [] }, { page: [] }],
  'x-openclaw-permission': permission,
  responses: {
    '101': { description: 'Switching protocols.' },
    '401': { $ref: '#/components/responses/unauthorized' },
    '403': { $ref: '#/components/responses/insufficient-scope' },
    '421': { $ref: '#/components/responses/misdirected-request' },
    '426': { $ref: '#/components/responses/upgrade-required' },
    '429': { $ref: '#/components/responses/quota-exceeded' },
    '431': { $ref: '#/components/responses/headers-too-large' },
  },
})

/** No body is the empty object. */
const needsBody = (schema: JsonObject): boolean =>
  ['required', 'minProperties', 'oneOf', 'anyOf'].some((keyword) => schema[keyword] !== undefined)

/** `GET /v1/messages/{id}` → getMessagesById */
function operationId(method: string, path: string): string {
  const words = path.replace(/^\/v1\//, '/').split(/[^A-Za-z{}]+/)
  return method.toLowerCase() + words.map((word) => (word.startsWith('{') ? `By${capital(word.slice(1, -1))}` : capital(word))).join('')
}
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
