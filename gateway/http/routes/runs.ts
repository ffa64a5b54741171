/** Runs of skills: listed, shown, waited for, followed, cancelled. */
import { ConflictError, NotFoundError, asRunId } from '#contract'
import type { Clock, HttpRequest, RunId, RunRecord, RunStatus, Route, SkillRuns } from '#contract'
import { PAGING } from '../cursor.ts'
import { tenantOf } from './caller.ts'
import type { Hub } from './hub.ts'
import { RUN, RUN_STATUSES, eventOf, resultDocument, runDocument } from './run-document.ts'
import { TEXT, objectOf, pageOf } from './schema.ts'

const MAX_WAIT_SECONDS = 300

export function runRoutes({ services, cursors, clock }: Hub): readonly Route[] {
  const { skills, store } = services
  const read = { method: 'GET', tag: 'skills', permission: 'skills:read' } as const
  return [
    {
      ...read,
      path: '/v1/runs',
      summary: 'Runs of skills, newest first; those that nobody waited for and that do nothing outside come a moment late',
      query: { skill: { type: 'string', maxLength: 64 }, status: { enum: [...RUN_STATUSES] }, ...PAGING },
      responses: { 200: { description: 'A page of them.', schema: pageOf(RUN) } },
      handle: async (request) => ({
        status: 200,
        body: await cursors.page({
          request,
          list: 'runs',
          read: (before, limit) => store.runs.list(filterOf(request), before, limit),
          seqOf: ({ seq }) => seq,
          show: runDocument,
        }),
      }),
    },
    {
      ...read,
      path: '/v1/runs/{id}',
      summary: 'One run and what became of it; with `wait`, when it has ended or the time is up',
      query: { wait: { type: 'number', minimum: 0, maximum: MAX_WAIT_SECONDS, description: 'Seconds.' } },
      responses: { 200: { description: 'The run.', schema: RUN } },
      handle: async (request) => {
        const { wait } = request.query
        const run = typeof wait === 'number' && wait > 0 ? await after(request, { runs: skills.runs, clock, waitMs: wait * 1_000 }) : null
        return { status: 200, body: runDocument(run ?? (await need(request, skills.runs))) }
      },
    },
    {
      ...read,
      path: '/v1/runs/{id}/logs',
      summary: 'What the run wrote, bounded; when it has ended',
      responses: { 200: { description: 'Text.', contentType: 'text/plain' } },
      handle: async (request) => ({ status: 200, text: (await need(request, skills.runs)).logs, contentType: 'text/plain; charset=utf-8' }),
    },
    {
      ...read,
      path: '/v1/runs/{id}/events',
      summary: 'What the run tells from now on: skill.progress, skill.log, and in the end skill.result',
      responses: { 200: { description: 'Server-sent events.', contentType: 'text/event-stream' } },
      handle: async (request) => {
        const { id, tenant } = await need(request, skills.runs)
        return {
          status: 200,
          events: async (sink) => {
            const run = await skills.runs.watch(tenant, id, {
              signal: sink.signal,
              listen: (event) => void (event.is !== 'started' && sink.send(eventOf(event))),
            })
            if (run === null || run.outcome === null) return
            const { status, skill, version } = run
            sink.send({ event: 'skill.result', data: { run_id: id, status, skill, version, ...resultDocument(run.outcome) } })
          },
        }
      },
    },
    {
      method: 'POST',
      path: '/v1/runs/{id}/cancel',
      permission: 'skills:execute',
      summary: 'Cancels a run that waits or goes on',
      tag: 'skills',
      idempotency: 'kept',
      responses: { 202: { description: 'It is told to stop.', schema: objectOf({ run_id: TEXT, status: { const: 'cancelling' } }) } },
      handle: async (request) => {
        const run = idOf(request)
        // One that is not on record before it ends can be cancelled too.
        if (!(await skills.runs.cancel(tenantOf(request), run))) {
          await need(request, skills.runs)
          throw new ConflictError('The run is over.', { code: 'RUN_OVER' })
        }
        return { status: 202, body: { run_id: run, status: 'cancelling' } }
      },
    },
  ]
}

const idOf = ({ params }: HttpRequest): RunId => asRunId(params['id'] ?? '')

async function need(request: HttpRequest, runs: SkillRuns): Promise<RunRecord> {
  const run = await runs.get(tenantOf(request), idOf(request))
  if (run === null) throw new NotFoundError('There is no run with this id.', { code: 'RUN_NOT_FOUND' })
  return run
}

/** The run when it has ended, or as it stands when the time is up or the asker gone. */
async function after(
  request: HttpRequest,
  { runs, clock, waitMs }: { readonly runs: SkillRuns; readonly clock: Clock; readonly waitMs: number },
): Promise<RunRecord | null> {
  const over = new AbortController()
  const cancelTimer = clock.after(waitMs, () => over.abort())
  try {
    return await runs.watch(tenantOf(request), idOf(request), { signal: AbortSignal.any([request.signal, over.signal]) })
  } finally {
    cancelTimer()
  }
}

function filterOf(request: HttpRequest): { readonly tenant: string; readonly skill?: string; readonly status?: RunStatus } {
  const { skill, status } = request.query
  const known = RUN_STATUSES.find((each) => each === status)
  return { tenant: tenantOf(request), ...(typeof skill === 'string' && { skill }), ...(known !== undefined && { status: known }) }
}
