/** One span for every run, whoever asked for it: a skill that another calls hangs below the one that called. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeepingTracer } from '../../support/tracer.ts'
import { bad, ok, worldOf } from './given.ts'

const OUTSIDE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

test('a run hangs below its caller, and its code is told its own span', async () => {
  const tracer = new KeepingTracer()
  const world = worldOf({
    tracer,
    skills: {
      outer: {
        run: async ({ call }) => {
          await call('inner', null, 1)
          return ok()
        },
      },
      inner: { run: () => bad('timeout') },
    },
  })
  await world.run('outer', 'in', { key: 'k', traceparent: OUTSIDE })
  await world.run('nonesuch', 'in', { key: 'k2' })
  const [outer, inner, unknown] = tracer.spans
  assert.deepEqual(tracer.tree(), ['skill.execute < outside', 'skill.execute < skill.execute', 'skill.execute'])
  assert.deepEqual([outer?.fault, inner?.fault, unknown?.fault], [null, 'SKILL_TIMEOUT', 'SKILL_NOT_FOUND'])
  assert.deepEqual([outer?.attributes['gen_ai.tool.name'], inner?.attributes['openclaw.caller']], ['outer', 'skill'])
  assert.deepEqual(
    world.sandbox.jobs.map((job) => job.traceparent),
    [outer?.traceparent, inner?.traceparent],
  )
  const metrics = await world.metrics.text()
  assert.match(metrics, /^openclaw_skill_invocations_total\{skill="outer",status="ok"\} 1$/m)
  assert.match(metrics, /^openclaw_skill_invocations_total\{skill="inner",status="error"\} 1$/m)
  // What is not in the catalogue is a stranger's word.
  assert.match(metrics, /^openclaw_skill_invocations_total\{skill="unknown",status="error"\} 1$/m)
  assert.doesNotMatch(metrics, /nonesuch/)
})
