/** What the store's suite is given and works with: a store that can crash, and messages, turns and steps with defaults. */
import type {
  Acceptance,
  AuditEntry,
  ClaimRequest,
  ClaimedTurn,
  Ended,
  NewDelivery,
  SessionKey,
  SessionParts,
  StepDone,
  StepStart,
  Store,
  TurnEnd,
  TurnRef,
} from '#contract'
import { DEFAULT_TENANT, asSessionKey, newDeadLetterId, newDeliveryId, newMessageId, newTurnId } from '#contract'
import assert from 'node:assert/strict'

export interface StoreUnderTest {
  readonly store: Store
  /** Another store on what is on the disk at this instant, as after a power cut; the first was never stopped. */
  readonly crash: () => Promise<Store>
  /** Stopped in order and started again. */
  readonly restart: () => Promise<Store>
  /** Lends the store's next write an entry of the audit; `settled`: what the store said of it. */
  readonly lend: (entry: AuditEntry) => { readonly settled: readonly boolean[] }
}
/** Runs one test on a fresh store and cleans up after it. */
export type UseStore = (test: (given: StoreUnderTest) => Promise<void>) => () => Promise<void>

export interface StoreFeatures {
  /** Only one gateway at a time can have it, so a start knows that all former owners are dead. */
  readonly exclusive: boolean
}

/** The suite's time: nothing in a store reads a clock. */
export const T = 1_700_000_000_000

export function session(peer: string, agent = 'main'): SessionParts {
  return {
    key: asSessionKey(`agent:${agent}:web:default:direct:${encodeURIComponent(peer.toWellFormed())}`),
    tenant: DEFAULT_TENANT,
    agent,
    channel: 'web',
    account: 'default',
    peerKind: 'direct',
    peer,
    thread: null,
  }
}

export function message(peer: string, text: string, change: Partial<Acceptance> = {}): Acceptance {
  const parts = session(peer)
  return {
    tenant: DEFAULT_TENANT,
    envelope: {
      version: 1,
      id: newMessageId(T),
      channel: 'web',
      sender_id: peer,
      timestamp: T,
      payload: { text },
      metadata: { user_id: peer },
      session: parts.key,
    },
    key: null,
    fingerprint: null,
    lane: `lane-${peer}`,
    agent: parts.agent,
    session: parts,
    reply: { chat: peer },
    acceptedAt: T,
    dead: null,
    isNews: false,
    state: {},
    ...change,
  }
}

export async function accepted(store: Store, peer: string, text: string, change: Partial<Acceptance> = {}): Promise<Acceptance> {
  const given = message(peer, text, change)
  assert.deepEqual(await store.inbox.accept(given), { status: 'new' })
  return given
}

export function claiming(key: SessionKey, change: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    session: key,
    owner: 'boot-1',
    now: T,
    leaseMs: 30_000,
    turn: newTurnId(T),
    queue: { mode: 'followup', cap: 10, debounceMs: 0 },
    historyBytes: 100_000,
    historyMessages: 100,
    maxCrashes: 3,
    firstStep: null,
    deadLetter: newDeadLetterId(T),
    ...change,
  }
}

export async function claimed(store: Store, peer: string, change: Partial<ClaimRequest> = {}): Promise<ClaimedTurn> {
  const result = await store.turns.claim(claiming(session(peer).key, change))
  assert.equal(result.status, 'claimed', JSON.stringify(result))
  return result.turn
}

export async function idleUntil(store: Store, peer: string, change: Partial<ClaimRequest> = {}): Promise<number | null> {
  const result = await store.turns.claim(claiming(session(peer).key, change))
  assert.equal(result.status, 'idle', JSON.stringify(result))
  return result.dueAt
}

export const refOf = (turn: ClaimedTurn): TurnRef => ({ turn: turn.id, session: turn.session, fence: turn.fence })

export function starting(turn: ClaimedTurn, key: string, change: Partial<StepStart> = {}): StepStart {
  return {
    ...refOf(turn),
    key,
    kind: key.startsWith('skill:') ? 'skill' : 'llm',
    name: '',
    effect: 'idempotent',
    requestHash: 'hash',
    input: null,
    now: T,
    waiting: { policy: 'leave' },
    ...change,
  }
}

export function finishing(turn: ClaimedTurn, key: string, change: Partial<StepDone> = {}): StepDone {
  return {
    ...refOf(turn),
    key,
    name: 'builtin/echo',
    status: 'done',
    requestHash: null,
    result: { text: `result of ${key}` },
    messages: [],
    usage: null,
    planned: [],
    summary: null,
    end: null,
    now: T,
    ...change,
  }
}

export const done = (change: Partial<Extract<TurnEnd, { status: 'done' }>> = {}): TurnEnd => ({
  status: 'done',
  deliveries: [],
  messages: [],
  reset: false,
  reason: null,
  ...change,
})

export function delivery(turn: ClaimedTurn, text: string, change: Partial<NewDelivery> = {}): NewDelivery {
  const [first] = turn.messages
  assert.ok(first)
  return {
    id: newDeliveryId(T),
    messageId: first.envelope.id,
    channel: first.envelope.channel,
    lane: first.lane,
    to: first.reply,
    rendered: { text },
    index: 0,
    of: 1,
    status: 'pending',
    ...change,
  }
}

/** One message all the way: accepted, answered by one step, done. */
export async function answered(
  store: Store,
  peer: string,
  text: string,
  reply: string,
  change: Partial<NewDelivery> = {},
): Promise<Acceptance & { readonly turn: ClaimedTurn; readonly ended: Ended }> {
  const given = await accepted(store, peer, text)
  const turn = await claimed(store, peer)
  await store.turns.startStep(starting(turn, 'llm:1'))
  const ended = await store.turns.finishStep(
    finishing(turn, 'llm:1', {
      messages: [{ role: 'assistant', text: reply }],
      end: done({ deliveries: [delivery(turn, reply, change)] }),
    }),
  )
  return { ...given, turn, ended }
}

export async function statusOf(store: Store, given: Acceptance): Promise<string | undefined> {
  return (await store.inbox.get(DEFAULT_TENANT, given.envelope.id))?.status
}

/** Invariant 1. */
export async function balanced(store: Store): Promise<void> {
  const ledger = await store.inbox.ledger()
  assert.equal(ledger.accepted, ledger.done + ledger.dead + ledger.pending)
  assert.equal(
    ledger.accepted,
    Object.values(ledger.byStatus).reduce((sum, count) => sum + count, 0),
  )
}
