import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT, ModelError, UnavailableError } from '#contract'
import type { Ending, SkillRun, Turn } from '#contract'
import { agent, reply, startHub, textOf } from '../../support/hub.ts'
import type { Hub, HubOptions } from '../../support/hub.ts'

/** Runs with a hub that is swept away afterwards, however it ends. */
const withHub = (name: string, options: HubOptions, run: (hub: Hub) => Promise<void>): void => {
  test(name, async () => {
    const hub = await startHub(options)
    try {
      await run(hub)
    } finally {
      await hub.stop()
    }
  })
}

/** A gate that a test opens. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

const think = (turn: Turn, key = 'llm:1'): Promise<unknown> =>
  turn.step({
    kind: 'llm',
    key,
    requestHash: '',
    run: async () => ({ result: { thought: key }, name: 'test/model', messages: [], usage: null, planned: [], ending: null }),
  })

withHub('takes a message in, has it answered, and sends the answer', {}, async (hub) => {
  const id = await hub.say('hello')
  await hub.became(id, 'done')
  const [part] = await hub.delivered(1)
  assert.equal(part?.rendered.text, 're: hello')
  assert.equal(part?.messageId, id)
  assert.deepEqual(
    hub.events.flatMap((event) => (event.type === 'message' ? [event.status] : event.type === 'reply' ? [event.text] : [])),
    ['queued', 'running', 're: hello', 'done'],
  )
  const ledger = await hub.store.inbox.ledger()
  assert.equal(ledger.accepted, ledger.done + ledger.dead + ledger.pending)
})

withHub('makes one turn of a message that is handed in twice, also when it is done', {}, async (hub) => {
  const [first, second] = await Promise.all([hub.say('hello', { key: 'k' }), hub.say('hello', { key: 'k' })])
  assert.equal(first, second)
  await hub.became(first, 'done')
  assert.equal(await hub.say('hello', { key: 'k' }), first)
  await hub.became(await hub.say('other', { lane: 'bob' }), 'done')
  assert.equal((await hub.delivered(2)).length, 2)
})

withHub('answers a lane in the order of its questions', {}, async (hub) => {
  const ids = await Promise.all(Array.from({ length: 30 }, (_, number) => hub.say(`q${number}`)))
  await Promise.all(ids.map((id) => hub.became(id, 'done')))
  const parts = await hub.delivered(30)
  assert.deepEqual(
    parts.map((part) => part.rendered.text),
    ids.map((_, number) => `re: q${number}`),
  )
})

{
  const stuck = gate()
  withHub(
    'lets no stuck lane delay another, and runs one turn at a time in each',
    { think: async (turn) => (textOf(turn) === 'stuck' ? (await stuck.opened, reply('late')) : reply('ok')) },
    async (hub) => {
      const first = await hub.say('stuck')
      const second = await hub.say('behind')
      await hub.became(first, 'running')
      await hub.became(await hub.say('free', { lane: 'bob' }), 'done')
      assert.equal((await hub.message(second)).status, 'queued')
      stuck.open()
      await hub.became(second, 'done')
      assert.deepEqual(
        (await hub.delivered(3)).map((part) => part.rendered.text),
        ['ok', 'late', 'ok'],
      )
    },
  )
}

withHub('keeps what no route matches as a dead letter, which goes its way when a route is there', { fallback: null }, async (hub) => {
  const id = await hub.say('lost')
  await hub.became(id, 'dead')
  assert.equal((await hub.message(id)).reason?.code, 'UNROUTABLE')
  const [letter] = await hub.store.deadLetters.list({ tenant: DEFAULT_TENANT }, null, 10)
  assert.ok(letter)
  assert.deepEqual(await hub.deadLetters.replay(DEFAULT_TENANT, letter.id, null), { status: 'unroutable' })
  hub.reroute([{ id: 'r', match: { channel: 'wire' }, agent: 'main', tenant: DEFAULT_TENANT }], null)
  assert.equal((await hub.deadLetters.replay(DEFAULT_TENANT, letter.id, { text: 'found' })).status, 'replayed')
  await hub.became(id, 'done')
  assert.equal((await hub.delivered(1))[0]?.rendered.text, 're: found')
  assert.deepEqual(await hub.deadLetters.replay(DEFAULT_TENANT, letter.id, null), { status: 'settled', was: 'replayed' })
})

withHub('refuses at the door what asks for an agent that does not exist', {}, async (hub) => {
  await assert.rejects(hub.say('x', { agent: 'nobody' }), { code: 'AGENT_UNKNOWN' })
  assert.equal((await hub.store.inbox.ledger()).accepted, 0)
})

{
  const outcomes: (Error | Ending)[] = [
    new ModelError('down', { code: 'MODEL_UNAVAILABLE', retryable: true }),
    new ModelError('busy', { code: 'MODEL_BUSY', retryable: true, retryAfterMs: 7_000 }),
    reply('at last'),
  ]
  withHub(
    'tries a failed turn again with growing waits, or when the other side said',
    {
      think: async () => {
        const outcome = outcomes.shift()
        if (outcome instanceof Error || outcome === undefined) throw outcome ?? new Error('no more')
        return outcome
      },
    },
    async (hub) => {
      const id = await hub.say('hello')
      await hub.became(id, 'retrying')
      const first = await hub.message(id)
      assert.deepEqual([first.attempts, first.reason?.code, first.dueAt], [1, 'MODEL_UNAVAILABLE', hub.clock.now() + 1_000])
      hub.events.length = 0
      hub.clock.advance(1_000)
      await hub.became(id, 'retrying')
      assert.equal((await hub.message(id)).dueAt, hub.clock.now() + 7_000)
      hub.clock.advance(7_000)
      await hub.became(id, 'done')
      assert.equal((await hub.message(id)).attempts, 3)
    },
  )
}

/** The hub looks into the store by itself; resolves when looks that began before are over. */
async function looked(hub: Hub): Promise<void> {
  await hub.store.inbox.ledger()
  await hub.store.inbox.nextDue(0)
}

{
  const failed = new Set<string>()
  const waits: { readonly [text: string]: number } = { long: 7_000, short: 2_000 }
  const think = async (turn: Turn): Promise<Ending> => {
    const text = textOf(turn)
    if (failed.has(text)) return reply('ok')
    failed.add(text)
    throw new ModelError('busy', { code: 'MODEL_BUSY', retryable: true, retryAfterMs: waits[text] ?? 0 })
  }

  withHub('tries each of several failed turns again at its own time', { think }, async (hub) => {
    const [long, short] = [await hub.say('long'), await hub.say('short', { lane: 'bob' })]
    await Promise.all([hub.became(long, 'retrying'), hub.became(short, 'retrying')])
    hub.clock.advance(2_000)
    await hub.became(short, 'done')
    await looked(hub)
    hub.clock.advance(5_000)
    await hub.became(long, 'done')
  })

  test('and at its time when the hub was started anew meanwhile', async () => {
    failed.clear()
    const first = await startHub({ think })
    const id = await first.say('long')
    await first.became(id, 'retrying')
    await first.stop(true)
    const second = await startHub({ dir: first.dir, clock: first.clock, think })
    try {
      await looked(second)
      second.clock.advance(7_000)
      await second.became(id, 'done')
    } finally {
      await second.stop()
    }
  })
}

{
  let runs = 0
  withHub(
    'gives up after five attempts, keeps the whole message, and goes on with the next',
    {
      think: async (turn) => {
        if (textOf(turn) === 'fine') return reply('fine')
        runs += 1
        throw new ModelError('down', { code: 'MODEL_UNAVAILABLE', retryable: true })
      },
    },
    async (hub) => {
      const id = await hub.say('poison')
      const next = await hub.say('fine')
      for (let attempt = 1; attempt < 5; attempt++) {
        await hub.saw((event) => event.type === 'message' && event.status === 'retrying')
        hub.events.length = 0
        hub.clock.advance(180_000)
      }
      await hub.became(id, 'dead')
      assert.equal(runs, 5)
      await hub.became(next, 'done')
      const [letter] = await hub.store.deadLetters.list({ tenant: DEFAULT_TENANT }, null, 10)
      assert.equal(letter?.reason.code, 'MODEL_UNAVAILABLE')
      assert.equal(letter?.attempts, 5)
      assert.deepEqual((letter?.content as { payload?: unknown } | undefined)?.payload, { text: 'poison' })
    },
  )
}

{
  let runs = 0
  withHub(
    'gives up at once what can never work',
    {
      think: async () => {
        runs += 1
        throw new ModelError('bad key', { code: 'MODEL_REFUSED', retryable: false })
      },
    },
    async (hub) => {
      await hub.became(await hub.say('hello'), 'dead')
      assert.equal(runs, 1)
    },
  )
}

{
  let isThere = false
  withHub(
    'counts waiting for a missing dependency as no attempt',
    {
      think: async () => {
        if (!isThere) throw new UnavailableError('not yet', { code: 'DEPENDENCY_AWAY', retryAfterMs: 500 })
        return reply('ok')
      },
    },
    async (hub) => {
      const id = await hub.say('hello')
      for (let round = 0; round < 8; round++) {
        await hub.saw((event) => event.type === 'message' && event.status === 'running')
        while (hub.dispatch.running > 0) await new Promise(setImmediate)
        hub.events.length = 0
        isThere = round === 7
        hub.clock.advance(500)
      }
      await hub.became(id, 'done')
      assert.equal((await hub.message(id)).attempts, 1)
    },
  )
}

{
  const busy = gate()
  withHub(
    'collects what waits into one turn',
    {
      agents: [agent({ queue: { mode: 'collect', cap: 3, debounceMs: 0 } })],
      think: async (turn) => {
        if (textOf(turn) === 'first') await busy.opened
        return reply(`re: ${textOf(turn)}`)
      },
    },
    async (hub) => {
      const ids = [await hub.say('first')]
      await hub.became(ids[0] ?? assert.fail(), 'running')
      for (const text of ['a', 'b', 'c', 'd']) ids.push(await hub.say(text))
      busy.open()
      await Promise.all(ids.map((id) => hub.became(id, 'done')))
      assert.deepEqual(
        (await hub.delivered(3)).map((part) => part.rendered.text),
        ['re: first', 're: a+b+c', 're: d'],
      )
    },
  )
}

withHub(
  'waits until a session is quiet where it is told to',
  { agents: [agent({ queue: { mode: 'collect', cap: 20, debounceMs: 500 } })] },
  async (hub) => {
    const began = hub.clock.now()
    await hub.say('a')
    await hub.clock.timerAt(began + 500)
    hub.clock.advance(300)
    const last = await hub.say('b')
    hub.clock.advance(300)
    await hub.clock.timerAt(began + 800)
    assert.equal(hub.sent.length, 0)
    hub.clock.advance(200)
    await hub.became(last, 'done')
    assert.equal((await hub.delivered(1))[0]?.rendered.text, 're: a+b')
  },
)

{
  const calls: string[] = []
  const during = gate()
  withHub(
    'steers: what arrives meanwhile joins at the next step, and calls that were not begun are skipped',
    {
      agents: [agent({ queue: { mode: 'steer', cap: 20, debounceMs: 0 } })],
      skills: {
        slow: {
          effect: 'none',
          run: async ({ key }: SkillRun) => {
            calls.push(key)
            await during.opened
            return { status: 'ok', output: 1 }
          },
        },
      },
      think: async (turn) => {
        await think(turn)
        const first = await turn.skill({ id: 'c1', skill: 'slow', input: {} })
        const second = await turn.skill({ id: 'c2', skill: 'slow', input: {} })
        const { joined } = await turn.step({
          kind: 'llm',
          key: 'llm:2',
          requestHash: '',
          run: async (call) => ({
            result: {},
            name: 'm',
            messages: [],
            usage: null,
            planned: [],
            ending: reply(`${first.status} ${second.status === 'error' ? second.code : 'ran'} ${call.joined.length}`),
          }),
        })
        assert.equal(joined.length, 1)
        return reply('unused')
      },
    },
    async (hub) => {
      const first = await hub.say('first')
      while (calls.length === 0) await new Promise(setImmediate)
      const second = await hub.say('never mind')
      during.open()
      await hub.became(first, 'done')
      await hub.became(second, 'done')
      assert.equal(calls.length, 1)
      const [part] = await hub.delivered(1)
      assert.equal(part?.rendered.text, 'ok skipped 1')
      assert.equal(part?.messageId, second)
      assert.equal((await hub.message(second)).turn, (await hub.message(first)).turn)
    },
  )
}

withHub(
  'interrupts: a newer message ends the running turn',
  {
    agents: [agent({ queue: { mode: 'interrupt', cap: 20, debounceMs: 0 } })],
    think: async (turn) => {
      if (textOf(turn) === 'slow')
        await new Promise((_, reject) => turn.signal.addEventListener('abort', () => reject(turn.signal.reason as Error)))
      return reply(`re: ${textOf(turn)}`)
    },
  },
  async (hub) => {
    const slow = await hub.say('slow')
    await hub.became(slow, 'running')
    await hub.became(await hub.say('stop that'), 'done')
    const ended = await hub.message(slow)
    assert.deepEqual([ended.status, ended.reason?.code], ['done', 'INTERRUPTED'])
    assert.deepEqual(
      (await hub.delivered(1)).map((part) => part.rendered.text),
      ['re: stop that'],
    )
  },
)

{
  const signals: AbortSignal[] = []
  withHub(
    'a turn that is about several messages goes on as long as anybody waits for one of them',
    {
      agents: [agent({ queue: { mode: 'collect', cap: 20, debounceMs: 0 } })],
      think: (turn) => {
        signals.push(turn.signal)
        return new Promise((_, reject) => {
          turn.signal.addEventListener('abort', () => reject(turn.signal.reason as Error))
        })
      },
    },
    async (hub) => {
      const first = await hub.say('first')
      await hub.became(first, 'running')
      const [second, third] = [await hub.say('second'), await hub.say('third')]
      await hub.dispatch.cancel(DEFAULT_TENANT, first)
      await hub.became(first, 'done')
      await hub.became(third, 'running')
      assert.equal((await hub.message(second)).turn, (await hub.message(third)).turn)
      await hub.dispatch.cancel('another', third)
      await hub.dispatch.cancel(DEFAULT_TENANT, second)
      assert.equal(signals.at(-1)?.aborted, false, 'neither half of it, nor by another tenant')
      await hub.dispatch.cancel(DEFAULT_TENANT, third)
      await hub.became(third, 'done')
      for (const id of [first, second, third]) assert.equal((await hub.message(id)).reason?.code, 'CANCELLED')
      const ledger = await hub.store.inbox.ledger()
      assert.deepEqual([ledger.accepted, ledger.done, ledger.pending], [3, 3, 0])
    },
  )
}

{
  let runs = 0
  withHub(
    'stops a turn at its deadline and tries it again',
    {
      think: async (turn) => {
        runs += 1
        if (runs > 1) return reply('ok')
        return new Promise((_, reject) => turn.signal.addEventListener('abort', () => reject(turn.signal.reason as Error)))
      },
    },
    async (hub) => {
      const id = await hub.say('hello')
      await hub.became(id, 'running')
      hub.clock.advance(60_000)
      await hub.became(id, 'retrying')
      assert.equal((await hub.message(id)).reason?.code, 'TURN_TIMEOUT')
      hub.clock.advance(1_000)
      await hub.became(id, 'done')
    },
  )
}

{
  let runs = 0
  withHub(
    'goes on with a waiting turn when its time comes',
    {
      think: async (turn) => {
        runs += 1
        return runs === 1 ? { outcome: { kind: 'wait', until: 1_800_000_010_000, reason: 'dinner' } } : reply(`re: ${textOf(turn)}`)
      },
    },
    async (hub) => {
      const id = await hub.say('hello')
      await hub.became(id, 'waiting')
      assert.equal((await hub.message(id)).attempts, 1)
      hub.clock.advance(10_000)
      await hub.became(id, 'done')
      assert.equal((await hub.delivered(1)).length, 1)
    },
  )
}

test('hands a turn back when it drains; the next life goes on with it, no attempt counted, no step repeated', async () => {
  const stuck = gate()
  const begun = gate()
  const first = await startHub({
    think: async (turn) => {
      await think(turn)
      begun.open()
      await Promise.race([
        stuck.opened,
        new Promise((_, reject) => turn.signal.addEventListener('abort', () => reject(turn.signal.reason as Error))),
      ])
      return reply('never')
    },
  })
  const id = await first.say('hello')
  await begun.opened
  await first.stop(true)
  await assert.rejects(first.ingress.accept('wire', {} as never, {}), { code: 'DRAINING' })
  let calls = 0
  const second = await startHub({
    dir: first.dir,
    clock: first.clock,
    think: async (turn) => {
      await turn.step({
        kind: 'llm',
        key: 'llm:1',
        requestHash: '',
        run: async () => {
          calls += 1
          return { result: {}, name: 'm', messages: [], usage: null, planned: [], ending: null }
        },
      })
      return reply('again')
    },
  })
  await second.became(id, 'done')
  assert.equal(calls, 0)
  assert.equal((await second.message(id)).attempts, 1)
  await second.stop()
})

{
  let runs = 0
  withHub(
    'tells of a skill that is not there or not allowed, and asks the runner for neither',
    {
      agents: [agent({ skills: ['allowed'] })],
      skills: {
        allowed: { effect: 'none', run: async () => ({ status: 'ok', output: (runs += 1) }) },
        forbidden: { effect: 'none', run: async () => assert.fail('ran') },
      },
      think: async (turn) => {
        const outcomes = [
          await turn.skill({ id: '1', skill: 'allowed', input: {} }),
          await turn.skill({ id: '2', skill: 'forbidden', input: {} }),
          await turn.skill({ id: '3', skill: 'nowhere', input: {} }),
        ]
        return reply(outcomes.map((outcome) => (outcome.status === 'ok' ? 'ok' : outcome.code)).join(' '))
      },
    },
    async (hub) => {
      await hub.say('go')
      assert.equal((await hub.delivered(1))[0]?.rendered.text, 'ok not_found not_found')
      assert.equal(runs, 1)
    },
  )
}

{
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const traces: (string | undefined)[] = []
  withHub(
    'hands the trace of the message on to the skills it leads to',
    {
      skills: { look: { effect: 'none', run: async (run) => (traces.push(run.traceparent), { status: 'ok', output: null }) } },
      think: async (turn) => (await turn.skill({ id: 'c', skill: 'look', input: {} }), reply('seen')),
    },
    async (hub) => {
      await hub.say('go', { metadata: { traceparent } })
      await hub.say('again')
      await hub.delivered(2)
      assert.deepEqual(traces, [traceparent, undefined])
    },
  )
}

withHub(
  'a message of a shared channel is its tenant’s, goes to no other’s agent, and is not taken in without one',
  { isShared: true },
  async (hub) => {
    await assert.rejects(hub.say('whose?'), /said of a message not whose it is/)
    await assert.rejects(hub.say('to yours', { tenant: 'acme', agent: 'main' }), { code: 'AGENT_UNKNOWN' })
    const id = await hub.say('of acme', { tenant: 'acme' })
    assert.equal(await hub.store.inbox.get(DEFAULT_TENANT, id), null)
    assert.equal((await hub.store.inbox.get('acme', id))?.reason?.code, 'UNROUTABLE')
    const [letter] = await hub.store.deadLetters.list({ tenant: 'acme' }, null, 9)
    assert.ok(letter)
    assert.deepEqual(await hub.deadLetters.replay(DEFAULT_TENANT, letter.id, { text: 'mine now' }), { status: 'missing' })
    assert.deepEqual(await hub.deadLetters.replay('acme', letter.id, null), { status: 'unroutable' })
  },
)
