/** Is it alive, has it started, can it be sent work; what version is it; what does it measure. Strangers are told the word and no more. */
import { isOperator, isoTime, may } from '#contract'
import type { HttpRequest, JsonObject, Route } from '#contract'
import { METRICS_TYPE } from '../metrics-listener.ts'
import type { Readiness } from '../services.ts'
import { TEXT, TEXT_OR_NULL, objectOf } from './schema.ts'
import type { Hub } from './hub.ts'

type Question = 'live' | 'started' | 'ready'

export function probeRoutes({ services }: Hub): readonly Route[] {
  const probe = (path: string, question: Question, summary: string, aliases: readonly string[]): Route => ({
    method: 'GET',
    path,
    aliases,
    permission: 'public',
    isProbe: true,
    summary: `${summary}; whoever of the operator may read logs is told why`,
    tag: 'gateway',
    responses: { 200: { description: 'Yes.', schema: PROBE }, 503: { description: 'No.', schema: PROBE } },
    handle: (request) => answer(services.probes(), question, request),
  })
  return [
    probe('/healthz', 'live', 'Is the process well', []),
    probe('/startupz', 'started', 'Has it started', []),
    probe('/readyz', 'ready', 'Can it take messages', []),
    {
      ...probe('/api/health', 'live', 'Is the process well, and what was given up', ['/v1/health']),
      handle: async (request) => {
        const { status, body } = answer(services.probes(), 'live', request)
        if (!mayKnow(request)) return { status, body }
        // The store may be what is ill: then there is no number, and `parts` says why.
        const open = await services.store.deadLetters.open().catch(() => null)
        const letters = open === null ? null : { open: open.count, oldest_at: open.oldestAt === null ? null : isoTime(open.oldestAt) }
        return { status, body: { ...body, dead_letters: letters } }
      },
    },
    {
      method: 'GET',
      path: '/version',
      permission: 'public',
      summary: 'Which version this is',
      tag: 'gateway',
      responses: { 200: { description: 'The version.', schema: objectOf({ name: TEXT, version: TEXT }) } },
      handle: () => ({ status: 200, body: { name: 'openclaw', version: services.version } }),
    },
    {
      method: 'GET',
      path: '/api/metrics',
      aliases: ['/v1/metrics'],
      permission: 'metrics:read',
      isForOperator: true,
      summary: 'All metrics in the Prometheus text format',
      tag: 'gateway',
      responses: { 200: { description: 'The metrics.', contentType: 'text/plain' } },
      handle: async () => ({ status: 200, text: await services.metricsText(), contentType: METRICS_TYPE }),
    },
  ]
}

const PROBE = {
  type: 'object',
  required: ['status'],
  properties: {
    status: { enum: ['ok', 'unavailable'] },
    failing: { type: 'array', items: TEXT, description: 'Names of the parts that fail.' },
    dead_letters: { type: ['object', 'null'], description: 'How many are open and since when the oldest (/api/health).' },
    channels: {
      type: 'array',
      items: objectOf({ name: TEXT, state: TEXT, reason: TEXT_OR_NULL, paused: { type: 'boolean' } }),
      description: 'One that is not open makes the gateway neither unready nor unwell.',
    },
    parts: { type: 'array', items: objectOf({ name: TEXT, ok: { type: 'boolean' }, detail: TEXT_OR_NULL }) },
  },
}

/** Parts and channels are those of all tenants. */
const mayKnow = ({ principal }: HttpRequest): boolean => principal !== null && isOperator(principal) && may(principal, 'logs:read')

function answer(readiness: Readiness, question: Question, request: HttpRequest): { readonly status: number; readonly body: JsonObject } {
  const isTrue = readiness[question]
  const failing = readiness.parts.filter((part) => !part.ok).map((part) => part.name)
  const named = isTrue ? {} : { failing }
  const details = mayKnow(request)
    ? {
        parts: readiness.parts.map((part) => ({ ...part })),
        channels: readiness.channels.map(({ name, state, reason, isPaused }) => ({ name, state, reason, paused: isPaused })),
      }
    : {}
  return { status: isTrue ? 200 : 503, body: { status: isTrue ? 'ok' : 'unavailable', ...named, ...details } }
}
