import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from '#contract'
import { cut, fit, paired, tokensOf } from '../../agents/context.ts'

const user = (text: string): Message => ({ role: 'user', text, sender: 'alice' })
const said = (text: string): Message => ({ role: 'assistant', text })
const calling = (...ids: readonly string[]): Message => ({
  role: 'assistant',
  text: '',
  calls: ids.map((id) => ({ id, skill: 's', input: {} })),
})
const answer = (call: string, text = 'ok'): Message => ({ role: 'tool', call, skill: 's', text })

test('answers move behind their calls, missing ones are made up, strays go', () => {
  const messages = [answer('stray'), user('a'), calling('1', '2'), user('b'), answer('1'), answer('1', 'twice')]
  const result = paired(messages)
  assert.deepEqual(
    result.map((message) => (message.role === 'tool' ? `tool ${message.call}` : message.role)),
    ['user', 'assistant', 'tool 1', 'tool 2', 'user'],
  )
  assert.match(result[3]?.text ?? '', /^error cancelled/)
})

test('an id that is used twice answers each of its calls', () => {
  const result = paired([calling('1'), answer('1', 'first'), calling('1'), answer('1', 'second')])
  assert.deepEqual(
    result.filter((message) => message.role === 'tool').map((message) => message.text),
    ['first', 'second'],
  )
})

test('the newest history that fits is kept, pairs stay whole, and a prompt begins with somebody speaking', () => {
  const history = [user('old'), said('old too'), user('x'), calling('1'), answer('1', 'y'.repeat(400)), said('then'), user('new')]
  const current = [user('now')]
  for (let max = 0; max < tokensOf(history) + 50; max++) {
    const result = fit(history, current, max)
    assert.equal(result.at(-1), current[0])
    assert.ok(tokensOf(result) <= Math.max(max, tokensOf(current)))
    assert.equal(result[0]?.role, 'user')
    assert.equal(
      result.some((message) => message.role === 'tool'),
      result.some((message) => message.role === 'assistant' && message.calls !== undefined),
    )
    const kept = history.slice(history.length - (result.length - 1))
    assert.deepEqual(result.slice(0, -1), kept, 'a suffix')
  }
  assert.deepEqual(fit(history, current, 10_000), [...history, ...current])
})

test('a summary is kept before what it leads to', () => {
  const summary: Message = { role: 'summary', text: 'They met.' }
  const result = fit([summary, user('x'.repeat(4_000)), said('y')], [user('now')], 200)
  assert.deepEqual(
    result.map((message) => message.role),
    ['summary', 'assistant', 'user'],
  )
})

test('answers of this turn are shortened before they burst the bound', () => {
  const current = [user('now'), calling('1', '2'), answer('1', 'a'.repeat(20_000)), answer('2', 'b')]
  const result = fit([], current, 1_000)
  assert.ok(tokensOf(result) < 1_100)
  assert.match(result[2]?.text ?? '', /characters left out/)
  assert.equal(result[3]?.text, 'b')
})

test('a cut never leaves half a character', () => {
  assert.ok(cut('🙂'.repeat(100), 51).isWellFormed())
})
