/**
 * A message whose turn takes the process down: after three deaths it is a dead letter, and the fourth life serves everybody else, those of the same
 * conversation too. Nobody has to touch the database.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerTo, ended, post, say } from '../support/conversation.ts'
import { spawnGateway, startGateway } from '../support/gateway-process.ts'

const ENTRY = new URL('./crash-loop-subject.ts', import.meta.url).pathname
const KILLED = { code: null, signal: 'SIGKILL' }

test(
  'a message that kills the gateway three times is dead, and the fourth life serves the others',
  { timeout: 60_000 },
  async (context) => {
    const gateway = await startGateway(context, { entry: ENTRY })
    const before = await say(gateway, 'before', 'ann')
    await ended(gateway, before)
    // The answer may be lost with the process; the acceptance is not.
    const key = 'the deadly one'
    await post(gateway, '/v1/messages', { payload: 'die', metadata: { user_id: 'ann' }, idempotency_key: key }).catch(() => undefined)
    assert.deepEqual(await gateway.ended, KILLED)

    const lives: string[] = []
    for (let life = 2; life <= 3; life++) {
      const { child } = spawnGateway(context, { entry: ENTRY, dir: gateway.dir })
      assert.deepEqual(await child.ended, KILLED, `life ${life}`)
      lives.push(child.output())
    }
    const fourth = await startGateway(context, { entry: ENTRY, dir: gateway.dir })
    const again = await post(fourth, '/v1/messages', { payload: 'die', metadata: { user_id: 'ann' }, idempotency_key: key })
    assert.equal(again.headers.get('idempotency-replayed'), 'true')
    const { message_id: id } = (await again.json()) as { message_id: string }
    const dead = await ended(fourth, id)
    assert.deepEqual([dead.status, dead.reason?.code], ['dead', 'TURN_CRASHED'])
    assert.match(dead.reason?.message ?? '', /ended 3 times.*before it is replayed/)
    const letters = (await (await fourth.fetch('/v1/dead-letters')).json()) as {
      readonly data: readonly { readonly id: string; readonly ref: string }[]
    }
    assert.deepEqual(
      letters.data.map(({ ref }) => ref),
      [id],
    )
    const letter = await (await fourth.fetch(`/v1/dead-letters/${letters.data[0]?.id}`)).json()
    assert.deepEqual((letter as { content: { payload: unknown } }).content.payload, { text: 'die' }, 'kept whole')

    assert.equal(await answerTo(fourth, 'of the same conversation', 'ann'), 'You said: of the same conversation')
    assert.equal(await answerTo(fourth, 'of another', 'bob'), 'You said: of another')
    assert.equal((await ended(fourth, before)).replies.length, 1)
    const mended = await post(fourth, `/v1/dead-letters/${letters.data[0]?.id}/replay`, { payload: 'live' })
    assert.equal(mended.status, 202)
    const { message_id: replayed } = (await mended.json()) as { message_id: string }
    assert.equal((await ended(fourth, replayed)).replies[0]?.text, 'You said: live')
    assert.deepEqual(await fourth.stop(), { code: 0, signal: null })
  },
)
