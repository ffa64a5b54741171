/**
 * Running skills: at once, with the answer; as events; or later (`Prefer: respond-async`, RFC 7240). The same Idempotency-Key is the same
 * run. What became of a run is `runs.ts`.
 */
import { InvalidError, MAX_IDEMPOTENCY_KEY_CHARS, isJsonObject, isTraceparent, readIdempotencyKey } from '#contract'
import type { HttpReply, HttpRequest, Invocation, JsonObject, JsonValue, Route, SkillOutcome } from '#contract'
import { ProtocolError } from '../problem.ts'
import { principalOf } from './caller.ts'
import type { Hub } from './hub.ts'
import { eventOf, resultDocument, timesDocument } from './run-document.ts'
import { COUNT, TEXT, objectOf } from './schema.ts'
import { skillProblem } from './skill-problem.ts'

const TIMES = objectOf({ queue_ms: COUNT, start_ms: COUNT, run_ms: COUNT })

const PROBLEM = 'application/problem+json'

const BODY: JsonObject = {
  type: 'object',
  properties: {
    input: { description: 'As the inputs of the skill say.' },
    version: { type: 'string', minLength: 1, maxLength: 100, description: 'A version, a major (`1`) or a range (`^1.2`).' },
    timeout_ms: { type: 'integer', minimum: 1, maximum: 300_000, description: "Less than the skill's own limit." },
  },
  additionalProperties: false,
  examples: [{ input: { query: 'process this' } }],
}

export function skillRunRoutes({ services }: Hub): readonly Route[] {
  const { skills } = services
  return [
    {
      method: 'POST',
      path: '/v1/skills/{id}/invoke',
      aliases: ['/v1/skills/{id}/v{major}/invoke', '/skills/{id}/invoke', '/skills/{id}/v{major}/invoke'],
      permission: 'skills:execute',
      summary: 'Runs a skill; `/v1/` before `invoke` keeps to that major, `Accept: text/event-stream` tells how far it is',
      tag: 'skills',
      body: BODY,
      idempotency: 'own',
      responses: {
        200: {
          description: 'What it gave; as events `skill.progress`, `skill.log`, and in the end `skill.result`.',
          schema: objectOf({ output: {}, run_id: TEXT, skill: TEXT, version: TEXT, times: TIMES }),
        },
        202: { description: 'It is stored and will be run (`Prefer: respond-async`).', schema: objectOf({ run_id: TEXT, status: TEXT }) },
        501: { description: 'Nothing here can run it; `detail` says what to install.', contentType: PROBLEM },
        502: { description: 'It failed; `code` and `detail` say how, `run_id` which run has its logs.', contentType: PROBLEM },
        504: { description: 'It took too long.', contentType: PROBLEM },
      },
      handle: async (request): Promise<HttpReply> => {
        const invocation = invocationOf(request)
        if (hasToken(request.headers['prefer'], 'respond-async')) {
          const { id, status } = await skills.runs.submit(invocation)
          const headers = { location: `/v1/runs/${id}`, 'preference-applied': 'respond-async' }
          return { status: 202, headers, body: { run_id: id, status } }
        }
        if (hasToken(request.headers['accept'], 'text/event-stream')) {
          return {
            status: 200,
            events: async (sink) => {
              const { id, outcome, version } = await skills.runs.invoke(invocation, {
                signal: sink.signal,
                watch: (event) => void (event.is !== 'started' && sink.send(eventOf(event))),
              })
              sink.send({ event: 'skill.result', data: { run_id: id, skill: invocation.skill, version, ...resultDocument(outcome) } })
            },
          }
        }
        const { id, outcome, version } = await skills.runs.invoke(invocation, { signal: request.signal })
        if (outcome.status === 'error')
          throw skillProblem(outcome, { skill: invocation.skill, run: id, isForGood: await isForGood(outcome, invocation) })
        const { output, times } = outcome
        return { status: 200, body: { output, run_id: id, skill: invocation.skill, version, times: timesDocument(times) } }
      },
    },
  ]

  /** Nothing here will ever run it, until somebody installs something. */
  async function isForGood(outcome: SkillOutcome, { tenant, skill }: Invocation): Promise<boolean> {
    if (outcome.status === 'ok' || outcome.code !== 'unavailable') return false
    const language = skills.catalogue.find(tenant, skill)?.current?.runtime.language
    if (language === undefined) return false
    const reports = await skills.runtime()
    return !reports.some((report) => report.isAvailable && report.languages.includes(language))
  }
}

function invocationOf(request: HttpRequest): Invocation {
  const { params, body, headers } = request
  const principal = principalOf(request)
  const given: { readonly [name: string]: JsonValue } = isJsonObject(body) ? body : {}
  const { input, version, timeout_ms: timeoutMs } = given
  const asked = versionOf(params['major'], version)
  const { traceparent } = headers
  return {
    tenant: principal.tenant,
    principal: principal.id,
    skill: params['id'] ?? '',
    input: input ?? {},
    key: keyOf(headers['idempotency-key']),
    ...(asked !== null && { version: asked }),
    ...(typeof timeoutMs === 'number' && { timeoutMs }),
    ...(traceparent !== undefined && isTraceparent(traceparent) && { traceparent }),
  }
}

function versionOf(major: string | undefined, version: JsonValue | undefined): string | null {
  if (major === undefined) return typeof version === 'string' ? version : null
  if (!/^\d{1,9}$/.test(major)) throw wrong('#/path/major', 'is no number')
  if (typeof version === 'string' && version.replace(/^[\^~]/, '').split('.')[0] !== major)
    throw wrong('#/version', `is not of major ${major}`)
  return typeof version === 'string' ? version : major
}

const wrong = (pointer: string, detail: string): InvalidError =>
  new InvalidError('Path and body ask for different versions; see `errors`.', { code: 'SCHEMA_VIOLATION', faults: [{ pointer, detail }] })

function keyOf(header: string | undefined): string | null {
  if (header === undefined) return null
  const key = readIdempotencyKey(header)
  if (key !== null) return key
  throw new ProtocolError(`An Idempotency-Key has 1 to ${MAX_IDEMPOTENCY_KEY_CHARS} printable ASCII characters.`, {
    code: 'INVALID_IDEMPOTENCY_KEY',
    slug: 'invalid-request',
  })
}

/** Whether a list header has this among its items, parameters left out. */
const hasToken = (header: string | undefined, token: string): boolean =>
  (header ?? '').split(',').some((item) => (item.split(';')[0] ?? '').trim().toLowerCase() === token)
