/**
 * The embedded store over node:sqlite: one thread that writes, one that reads once somebody asks, and on the main thread
 * nothing but methods that post commands to them. What the commands do stands one port a file beside this one.
 */
import { existsSync } from 'node:fs'
import { describeError, isJsonObject } from '#contract'
import type { AuditLoan, AuditScope, Clock, Lifecycle, Log, Store, StoreHealth } from '#contract'
import { rowOf, textsOf } from './accept.ts'
import { channelState } from './access.ts'
import { AUDIT_ALONE } from './audit.ts'
import type { Methods, Side } from './command.ts'
import { reads, writes } from './commands.ts'
import { unavailable } from './fault.ts'
import type { StoreFault } from './fault.ts'
import { Remote, stopped } from './remote.ts'
import type { CallOptions } from './remote.ts'
import { skillStore } from './skills.ts'
import { webhookEngine } from './webhook-engine.ts'

export interface SqliteStoreOptions {
  readonly file: string
  readonly log: Log
  readonly clock: Clock
  /** How long a write for somebody outside may wait for a disk that refuses, in milliseconds; 2,000 unless told. */
  readonly writeTimeoutMs?: number
  /** Signs the entries of the audit; none: the chain shows what was changed by accident only. */
  readonly auditKey?: Uint8Array
  /** Asked at each write whether somebody's action stands behind it. */
  readonly audit?: AuditScope
}

/** The gateway's own work waits longer: it can do nothing better, and its leases outlast it. */
const ENGINE_PATIENCE_MS = 30_000
const MAX_WAITING = 20_000
/** A write that takes longer than this, with no fault told, hangs in the disk itself. */
const STALLED_MS = 5_000

export class SqliteStore implements Store, Lifecycle {
  readonly inbox: Store['inbox']
  readonly turns: Store['turns']
  readonly outbox: Store['outbox']
  readonly sessions: Store['sessions']
  readonly deadLetters: Store['deadLetters']
  readonly keys: Store['keys']
  readonly roles: Store['roles']
  readonly revocations: Store['revocations']
  readonly agents: Store['agents']
  readonly idempotency: Store['idempotency']
  readonly channelState: Store['channelState']
  readonly pairing: Store['pairing']
  readonly skills: Store['skills']
  readonly runs: Store['runs']
  readonly webhooks: Store['webhooks']
  readonly overlay: Store['overlay']
  readonly audit: Store['audit']
  readonly #options: SqliteStoreOptions
  readonly #onEvents = new Set<() => void>()
  readonly #storage: Methods<typeof writes.storage>
  #writer: Remote | null = null
  #reader: Remote | null = null
  #fault: StoreFault | null = null
  #starting: Promise<void> | null = null
  #stopping: Promise<void> | null = null

  constructor(options: SqliteStoreOptions) {
    this.#options = options
    const outside = options.writeTimeoutMs ?? 2_000
    const inside = Math.max(outside, ENGINE_PATIENCE_MS)
    const tell = <S extends Side[string]>(port: string, side: S, patienceMs: number): Methods<S> =>
      methods(port, side, (name, args) => this.#write(name, args, patienceMs))
    const ask = <S extends Side[string]>(port: string, side: S): Methods<S> => methods(port, side, (name, args) => this.#read(name, args))

    const { readySessions, nextDue } = tell('inbox', writes.inbox, inside)
    this.inbox = {
      ...ask('inbox', reads.inbox),
      readySessions,
      nextDue,
      accept: async (message) => JSON.parse(await this.#send('inbox.accept', [rowOf(message)], outside, { texts: textsOf(message) })),
      acceptAll: async (messages, chain = '') =>
        JSON.parse(await this.#send('inbox.acceptAll', [messages.map(rowOf)], outside, { texts: messages.flatMap(textsOf), chain })),
    }
    this.turns = tell('turns', writes.turns, inside)
    const { post, news } = tell('outbox', writes.outbox, outside)
    this.outbox = { ...ask('outbox', reads.outbox), ...tell('outbox', writes.outbox, inside), post, news }
    this.sessions = { ...ask('sessions', reads.sessions), ...tell('sessions', writes.sessions, outside) }
    this.deadLetters = { ...ask('deadLetters', reads.deadLetters), ...tell('deadLetters', writes.deadLetters, outside) }
    this.keys = tell('keys', writes.keys, outside)
    this.roles = tell('roles', writes.roles, outside)
    this.revocations = tell('revocations', writes.revocations, outside)
    this.agents = tell('agents', writes.agents, outside)
    this.idempotency = tell('idempotency', writes.idempotency, outside)
    this.channelState = channelState({
      ...ask('channelState', reads.channelState),
      ...tell('channelState', writes.channelState, outside),
    })
    this.pairing = tell('pairing', writes.pairing, outside)
    this.skills = skillStore(tell('skills', writes.skills, outside))
    const { add } = tell('runs', writes.runs, outside)
    this.runs = { ...ask('runs', reads.runs), ...tell('runs', writes.runs, inside), add }
    this.overlay = tell('overlay', writes.overlay, outside)
    this.webhooks = {
      ...ask('webhooks', reads.webhooks),
      ...tell('webhooks', writes.webhooks, outside),
      // What the engine does is nobody's action, whatever went on when it was woken.
      ...methods('webhooks', webhookEngine, (name, args) => this.#send(name, args, inside)),
      onEvents: (listen) => {
        this.#onEvents.add(listen)
        return () => this.#onEvents.delete(listen)
      },
    }
    const { seal } = tell('audit', writes.audit, outside)
    this.audit = {
      ...ask('audit', reads.audit),
      seal,
      append: async (entry) => void (await this.#send(AUDIT_ALONE, [], outside, { audit: JSON.stringify(entry) })),
    }
    this.#storage = tell('storage', writes.storage, outside)
  }

  /** Rejects with what is wrong with the file: `STORE_IN_USE`, `STORE_TOO_NEW`, `STORE_READONLY`… */
  start(): Promise<void> {
    this.#starting ??= this.#open()
    return this.#starting
  }

  async #open(): Promise<void> {
    const { file, log } = this.#options
    const isNew = !existsSync(file)
    const writer = this.#remote(new URL('./writer.ts', import.meta.url), (error) => {
      this.#fault = { code: 'STORE_FAILED', detail: 'The thread that writes has ended; start the gateway again.' }
      log.error({ file, error }, 'the thread that writes has ended')
    })
    this.#writer = writer
    const migrated = await writer.opened
    if (migrated.length > 0) log[isNew ? 'debug' : 'info']({ file, migrations: migrated }, 'store migrated')
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#close()
    return this.#stopping
  }

  /** The reader first: the last connection that closes leaves one file, without a log beside it. */
  async #close(): Promise<void> {
    await this.#starting?.catch(() => undefined)
    await this.#reader?.stop()
    await this.#writer?.stop()
  }

  health(): StoreHealth {
    const waiting = this.#writer?.waiting ?? 0
    if (this.#fault !== null) {
      return { ok: false, code: this.#fault.code, detail: unavailable(this.#fault, this.#options.file).message, waiting }
    }
    const oldestAt = this.#writer?.oldestAt ?? null
    const stalledMs = oldestAt === null ? 0 : this.#options.clock.now() - oldestAt
    if (stalledMs < STALLED_MS) return { ok: true, code: null, detail: null, waiting }
    return { ok: false, code: 'STORE_FAILED', detail: `The disk has not answered a write for ${stalledMs} ms.`, waiting }
  }

  prune(before: number, limit: number): Promise<number> {
    return this.#storage.prune(before, limit)
  }

  #write(name: string, args: readonly unknown[], patienceMs: number): Promise<string> {
    const loan = this.#options.audit?.take(idOf(args[0])) ?? null
    return loan === null ? this.#send(name, args, patienceMs) : this.#sendWith(loan, name, args, patienceMs)
  }

  async #sendWith(loan: AuditLoan, name: string, args: readonly unknown[], patienceMs: number): Promise<string> {
    try {
      const answer: { readonly isWritten: boolean; readonly result: unknown } = JSON.parse(
        await this.#send(name, args, patienceMs, { audit: JSON.stringify(loan.entry) }),
      )
      loan.settle(answer.isWritten)
      return JSON.stringify(answer.result)
    } catch (error) {
      loan.settle(false)
      throw error
    }
  }

  #send(name: string, args: readonly unknown[], patienceMs: number, options: CallOptions = {}): Promise<string> {
    if (this.#writer === null) return Promise.reject(notStarted())
    return this.#writer.call(name, args, patienceMs, options)
  }

  async #read(name: string, args: readonly unknown[]): Promise<string> {
    if (this.#writer === null) throw notStarted()
    if (this.#stopping !== null) throw stopped()
    this.#reader ??= this.#openReader()
    return this.#reader.call(name, args, 0)
  }

  /** One that ends is replaced at the next question. */
  #openReader(): Remote {
    const drop = (error: unknown): void => {
      if (this.#reader === reader) this.#reader = null
      this.#options.log.warn({ file: this.#options.file, ...describeError(error) }, 'the thread that reads has ended')
    }
    const reader = this.#remote(new URL('./reader.ts', import.meta.url), drop)
    reader.opened.catch(drop)
    return reader
  }

  #remote(script: URL, onDeath: (error: Error) => void): Remote {
    const { file, clock, auditKey = new Uint8Array(0) } = this.#options
    return new Remote({
      script,
      file,
      auditKey,
      clock,
      maxWaiting: MAX_WAITING,
      onFault: (fault) => this.#faulted(fault),
      onNews: () => {
        for (const listen of this.#onEvents) listen()
      },
      onDeath,
    })
  }

  #faulted(fault: StoreFault | null): void {
    this.#fault = fault
    const { log, file } = this.#options
    if (fault === null) log.info({ file }, 'store writes again')
    else log.warn({ file, code: fault.code, detail: fault.detail }, 'store cannot write')
  }
}

/** What is written is told by its id, if it has one. */
const idOf = (first: unknown): string | null => (isJsonObject(first) && typeof first['id'] === 'string' ? first['id'] : null)

const notStarted = (): Error => new Error('The store was used before start().')

/** The one place where answers regain their types: what a handler returned is what arrives. */
function methods<S extends Side[string]>(
  port: string,
  side: S,
  send: (name: string, args: readonly unknown[]) => Promise<string>,
): Methods<S> {
  const made: { [method: string]: (...args: readonly unknown[]) => Promise<unknown> } = {}
  for (const method of Object.keys(side)) {
    const name = `${port}.${method}`
    made[method] = async (...args) => JSON.parse(await send(name, args))
  }
  return made as Methods<S>
}
