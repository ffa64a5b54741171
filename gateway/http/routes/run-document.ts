/** Runs of skills as the API shows them. */
import { isoTime } from '#contract'
import type { EventSink, JsonObject, RunRecord, SkillEvent, SkillOutcome, SkillTimes } from '#contract'
import { COUNT, TEXT, TEXT_OR_NULL, TIME, TIME_OR_NULL, objectOf } from './schema.ts'

export const RUN_STATUSES = ['queued', 'running', 'done', 'failed', 'unknown', 'dead'] as const

export const RUN: JsonObject = objectOf({
  id: TEXT,
  status: { enum: [...RUN_STATUSES] },
  skill: TEXT,
  version: { ...TEXT_OR_NULL, description: 'What ran; null: nothing yet.' },
  effect: { enum: ['none', 'idempotent', 'once'] },
  caller: { type: 'object' },
  key: TEXT,
  attempts: COUNT,
  input: {},
  output: {},
  error: { type: ['object', 'null'] },
  times: { type: ['object', 'null'] },
  created_at: TIME,
  started_at: TIME_OR_NULL,
  ended_at: TIME_OR_NULL,
})

export function runDocument(run: RunRecord): JsonObject {
  const { output = null, error = null, times = null } = run.outcome === null ? {} : resultDocument(run.outcome)
  return {
    id: run.id,
    status: run.status,
    skill: run.skill,
    version: run.version,
    effect: run.effect,
    caller: { ...run.caller },
    key: run.key,
    attempts: run.attempts,
    input: run.input,
    output,
    error,
    times,
    created_at: isoTime(run.createdAt),
    started_at: isoTime(run.startedAt),
    ended_at: isoTime(run.endedAt),
  }
}

export function resultDocument(outcome: SkillOutcome): JsonObject {
  const times = timesDocument(outcome.times)
  if (outcome.status === 'ok') return { output: outcome.output, times }
  return { error: { code: outcome.code, message: outcome.message }, times }
}

export const timesDocument = (times: SkillTimes | undefined): JsonObject => ({
  queue_ms: Math.round(times?.queueMs ?? 0),
  start_ms: Math.round(times?.startMs ?? 0),
  run_ms: Math.round(times?.runMs ?? 0),
})

export function eventOf(event: Exclude<SkillEvent, { is: 'started' }>): Parameters<EventSink['send']>[0] {
  if (event.is === 'progress') return { event: 'skill.progress', data: { data: event.data } }
  return { event: 'skill.log', data: { stream: event.stream, text: event.text } }
}
