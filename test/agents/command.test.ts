import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { envelopeOf, RecordedTurn, replyOf } from '../support/turn.ts'
import type { RecordedTurnOptions } from '../support/turn.ts'
import { createAgents } from './harness.ts'
import { skillDescriptor } from '../support/skill.ts'

const CLOCK = skillDescriptor({ id: 'clock', description: 'Tells the time.' })

async function say(
  text: string,
  options: RecordedTurnOptions = {},
): Promise<{ readonly reply: string; readonly turn: RecordedTurn; readonly reset: boolean }> {
  const { agents } = createAgents()
  const turn = new RecordedTurn({ texts: [text], skills: [CLOCK], ...options })
  const ending = await agents.run(turn)
  return { reply: replyOf(ending), turn, reset: ending.reset === true }
}

test('/help names every command', async () => {
  const { reply, turn } = await say('/help')
  for (const name of ['/help', '/status', '/reset', '/skills', '/skill NAME {json}']) assert.ok(reply.includes(name))
  assert.equal(turn.journal.steps.size, 0)
})

test('/status says who answers and what the gateway says of itself', async () => {
  const { reply } = await say('/status', { history: [{ role: 'assistant', text: 'x' }] })
  assert.match(reply, /Agent main 1\.0\.0 answers with builtin\/echo\./)
  assert.match(reply, /remembers 1 messages/)
  assert.match(reply, /All is well\./)
})

test('/reset starts the session anew and says so', async () => {
  const { reply, reset } = await say('/reset')
  assert.equal(reset, true)
  assert.match(reply, /start anew/)
})

test('/skills lists what this agent may run', async () => {
  assert.equal((await say('/skills')).reply, 'clock 1.0.0 — Tells the time.')
  assert.equal((await say('/skills', { skills: [] })).reply, 'This agent has no skills.')
})

test('/skill runs one skill durably and answers with its output as JSON', async () => {
  const { reply, turn } = await say('/skill clock {"zone": "utc"}', {
    runSkill: (call) => ({ status: 'ok', output: { id: call.id, input: call.input } }),
  })
  assert.equal(reply, '{"id":"c1","input":{"zone":"utc"}}')
  assert.equal(turn.journal.runs.get('c1'), 1)
})

test('/skill tells errors by their code', async () => {
  const fails: RecordedTurnOptions = { runSkill: () => ({ status: 'error', code: 'timeout', message: 'too slow' }) }
  assert.equal((await say('/skill clock', fails)).reply, 'error timeout: too slow')
  assert.match((await say('/skill clock {"a":')).reply, /^error invalid_input: /)
  assert.match((await say('/skill clock [1]')).reply, /^error invalid_input: /)
  assert.match((await say('/skill rm')).reply, /^error not_found: /)
  assert.match((await say('/skill')).reply, /^Say which/)
})

test('only a message that begins with exactly a command is one', async () => {
  for (const text of ['/helpme', ' /help', 'please /help', '/unknown', '/HELP']) {
    assert.ok((await say(text)).reply.includes(text), text)
  }
  const two = await say('', { envelopes: [envelopeOf('/help'), envelopeOf('/reset')] })
  assert.equal(two.reset, false)
  assert.ok(two.reply.includes('/help\n/reset'))
})

test('without any model the built-in one greets, repeats, and takes what is empty or no text', async () => {
  assert.match((await say('Good morning!')).reply, /^Hello! .* You said: Good morning!$/)
  assert.equal((await say('high time ☕')).reply, 'You said: high time ☕')
  assert.match((await say(' ')).reply, /empty/)
  const json = { ...envelopeOf(''), payload: { json: { a: '🙂' } } }
  assert.equal((await say('', { envelopes: [json] })).reply, 'You said: {"a":"🙂"}')
})

test('a gateway without a remote model never loads the HTTP client', async () => {
  await say('hello')
  const loaded = Object.keys(createRequire(import.meta.url).cache)
  assert.deepEqual(
    loaded.filter((file) => file.includes('/undici/')),
    [],
  )
})
