/** Is it alive, has it started, can it be sent work; what version is it; what does it measure. Strangers are told the word and no more. */
import { may } from '#contract'
import type { HttpReply, HttpRequest, Route } from '#contract'
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
    summary: `${summary}; who may read logs is told why`,
    tag: 'gateway',
    responses: { 200: { description: 'Yes.', schema: PROBE }, 503: { description: 'No.', schema: PROBE } },
    handle: (request) => answer(services.probes(), question, request),
  })
  return [
    probe('/healthz', 'live', 'Is the process well', []),
    probe('/startupz', 'started', 'Has it started', []),
    probe('/readyz', 'ready', 'Can it take messages', []),
    probe('/api/health', 'live', 'Is the process well', ['/v1/health']),
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
    parts: { type: 'array', items: objectOf({ name: TEXT, ok: { type: 'boolean' }, detail: TEXT_OR_NULL }) },
  },
}

function answer(readiness: Readiness, question: Question, { principal }: HttpRequest): HttpReply {
  const isTrue = readiness[question]
  const details = principal !== null && may(principal, 'logs:read') ? { parts: readiness.parts.map((part) => ({ ...part })) } : {}
  return { status: isTrue ? 200 : 503, body: { status: isTrue ? 'ok' : 'unavailable', ...details } }
}
