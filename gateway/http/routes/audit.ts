/** The audit: listed, followed live, exported for whoever keeps it elsewhere, and verified. Each tenant reads its own. */
import { auditDocument } from '#contract'
import type { AuditDesk, AuditFilter, AuditStore, EventSink, HttpRequest, JsonObject, Principal, Route } from '#contract'
import { PAGING } from '../cursor.ts'
import { ProtocolError } from '../problem.ts'
import { COUNT, FLAG, GIVEN_TIME, TEXT, TEXT_OR_NULL, TIME, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

const ENTRY: JsonObject = objectOf({
  seq: COUNT,
  at: TIME,
  tenant: TEXT,
  actor: objectOf({ id: TEXT, credential: TEXT, ip: TEXT_OR_NULL }),
  action: TEXT,
  object: TEXT_OR_NULL,
  outcome: { enum: ['ok', 'denied', 'failed'] },
  request_id: TEXT_OR_NULL,
  trace_id: TEXT_OR_NULL,
  detail: { type: 'object' },
  prev_hash: TEXT,
  hash: { ...TEXT, description: 'HMAC-SHA-256 over `entry`, a line feed and the canonical JSON (RFC 8785) of the entry without this.' },
})
const VERDICT: JsonObject = objectOf({
  tenant: TEXT,
  ok: FLAG,
  entries: COUNT,
  sealed: { ...COUNT, description: 'Entries up to this number were taken away by retention.' },
  head: { oneOf: [objectOf({ seq: COUNT, hash: TEXT }), { type: 'null' }] },
  checkpoints: { ...COUNT, description: 'So many could be held against the chain.' },
  fault: { oneOf: [objectOf({ seq: COUNT, reason: TEXT }), { type: 'null' }], description: 'The first entry that is wrong.' },
})
const EXPORTED_AT_ONCE = 10_000

export function auditRoutes({ services, cursors }: Hub): readonly Route[] {
  const { store, audit } = services
  return [
    {
      method: 'GET',
      path: '/v1/audit',
      permission: 'audit:read',
      summary: 'Who changed what, newest first',
      tag: 'audit',
      query: {
        action: TEXT,
        actor: TEXT,
        object: TEXT,
        outcome: { enum: ['ok', 'denied', 'failed'] },
        since: GIVEN_TIME,
        until: GIVEN_TIME,
        ...PAGING,
      },
      responses: { 200: { description: 'A page of entries.', schema: pageOf(ENTRY) } },
      handle: async (request) => {
        const filter = filterOf(request)
        const body = await cursors.page({
          request,
          list: 'audit',
          read: (before, limit) => store.audit.list(filter, before, limit),
          seqOf: (row) => row.seq,
          show: auditDocument,
        })
        return { status: 200, body }
      },
    },
    {
      method: 'GET',
      path: '/v1/audit/export',
      permission: 'audit:read',
      summary: `Entries as JSON lines, oldest first, ${EXPORTED_AT_ONCE} at most; the next ones come \`after\` the last`,
      tag: 'audit',
      query: { after: { type: 'integer', minimum: 0, default: 0 }, limit: { type: 'integer', minimum: 1, maximum: EXPORTED_AT_ONCE } },
      responses: { 200: { description: 'One entry a line.', contentType: 'application/x-ndjson' } },
      handle: async ({ principal, query }) => {
        const { after, limit } = query
        const size = typeof limit === 'number' ? limit : EXPORTED_AT_ONCE
        const rows = await store.audit.after(tenantOf(principal), typeof after === 'number' ? after : 0, size)
        const text = rows.map((row) => `${JSON.stringify(auditDocument(row))}\n`).join('')
        return { status: 200, text, contentType: 'application/x-ndjson' }
      },
    },
    {
      method: 'GET',
      path: '/v1/audit/verify',
      permission: 'audit:read',
      summary: 'Whether the chain is as it was written',
      tag: 'audit',
      responses: { 200: { description: 'The verdict; `ok` says it.', schema: VERDICT } },
      handle: async ({ principal }) => {
        const { head, ...verdict } = await audit.verify(tenantOf(principal))
        return { status: 200, body: { ...verdict, head: head === null ? null : { seq: head.seq, hash: head.hash } } }
      },
    },
    {
      method: 'GET',
      path: '/v1/audit/stream',
      permission: 'audit:read',
      summary: 'Entries as they are written; with `Last-Event-ID` all from there on, none left out',
      tag: 'audit',
      responses: { 200: { description: 'Server-sent events; the id is the entry’s number.', contentType: 'text/event-stream' } },
      handle: async ({ principal, headers }) => {
        const tenant = tenantOf(principal)
        const from = lastSeen(headers['last-event-id']) ?? (await store.audit.list({ tenant }, null, 1))[0]?.seq ?? 0
        return { status: 200, events: (sink) => follow({ store: store.audit, audit, tenant, from, sink }) }
      },
    },
  ]
}

/** The rows are the truth, a notice only says that it is worth looking: so nothing is left out however fast they come. */
async function follow(of: { store: AuditStore; audit: AuditDesk; tenant: string; from: number; sink: EventSink }): Promise<void> {
  const { store, audit, tenant, sink } = of
  let seen = of.from
  let news = Promise.withResolvers<void>()
  const unlisten = audit.onEntry((whose) => void (whose === tenant && news.resolve()))
  sink.signal.addEventListener('abort', () => news.resolve(), { once: true })
  try {
    while (!sink.signal.aborted) {
      const rows = await store.after(tenant, seen, 100)
      for (const row of rows) {
        if (!sink.send({ event: 'entry', id: String(row.seq), data: auditDocument(row) })) return
        seen = row.seq
      }
      if (rows.length > 0) continue
      await news.promise
      news = Promise.withResolvers<void>()
    }
  } finally {
    unlisten()
  }
}

const tenantOf = (principal: Principal | null): string => principal?.tenant ?? ''

function filterOf({ principal, query }: HttpRequest): AuditFilter {
  const { action, actor, object, outcome, since, until } = query
  return {
    tenant: tenantOf(principal),
    ...(typeof action === 'string' && { action }),
    ...(typeof actor === 'string' && { actor }),
    ...(typeof object === 'string' && { object }),
    ...(typeof outcome === 'string' && { outcome }),
    ...(typeof since === 'string' && { since: timeOf(since, 'since') }),
    ...(typeof until === 'string' && { until: timeOf(until, 'until') }),
  }
}

function timeOf(text: string, name: string): number {
  const at = Date.parse(text)
  if (Number.isFinite(at)) return at
  const faults = [{ pointer: `#/query/${name}`, detail: 'is not an ISO 8601 time' }]
  throw new ProtocolError('The query does not fit; see `errors`.', { code: 'INVALID_QUERY', slug: 'invalid-request', faults })
}

function lastSeen(header: string | undefined): number | null {
  if (header === undefined || header === '') return null
  if (/^\d{1,15}$/.test(header)) return Number(header)
  throw new ProtocolError('Last-Event-ID is the number of an entry.', { code: 'INVALID_LAST_EVENT_ID', slug: 'invalid-request' })
}
