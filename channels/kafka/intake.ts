/**
 * The way in: a batch of a partition, handed in by chunks in its order and committed after each; what can never be handled goes to the
 * dead-letter topic. While the store takes nothing, the same chunk is tried again and the group is told that we live.
 */
import { OpenClawError, UnavailableError, describeError } from '#contract'
import type { Accepted, ChannelFault, ChannelHost, Failure, Inbound, StateChanges } from '#contract'
import type { Batch, KafkaRecord, NewRecord } from './seam.ts'
import { Cursor } from './cursor.ts'
import { groupRecords } from './group.ts'
import { readRecord, unfitMessage } from './record.ts'
import type { ReadOptions } from './record.ts'

export interface IntakeParts {
  readonly host: ChannelHost
  readonly reading: ReadOptions
  readonly batchSize: number
  readonly deadLetterTopic: (topic: string) => string
  readonly produce: (record: NewRecord, signal: AbortSignal) => Promise<unknown>
  /** A fault of the client, told in our terms. */
  readonly faultOf: (error: unknown, topic: string) => ChannelFault
  readonly signal: AbortSignal
  readonly isPaused: () => boolean
}

const CHUNK = 500
const BEAT_MS = 1_000

interface Put {
  readonly record: KafkaRecord
  readonly why: Failure
}

export class Intake {
  readonly #parts: IntakeParts
  readonly #cursor: Cursor | null

  constructor(parts: IntakeParts) {
    this.#parts = parts
    this.#cursor = parts.batchSize === 1 ? null : new Cursor(parts.host)
  }

  async take(batch: Batch): Promise<void> {
    const lost = new AbortController()
    const cancel = this.#beat(batch, lost)
    try {
      const signal = AbortSignal.any([this.#parts.signal, lost.signal])
      for (let at = 0; at < batch.records.length; at += CHUNK) {
        if (batch.isOver() || this.#parts.isPaused()) return
        signal.throwIfAborted()
        const chunk = batch.records.slice(at, at + CHUNK)
        if (!(await this.#chunk(chunk, batch, signal))) return
      }
    } finally {
      cancel()
    }
  }

  /** False: paused before it could be stored. */
  async #chunk(records: readonly KafkaRecord[], batch: Batch, signal: AbortSignal): Promise<boolean> {
    const last = records.at(-1)
    if (last === undefined) return true
    const { reading, batchSize } = this.#parts
    const { unseen, state } = (await this.#cursor?.sift(records)) ?? { unseen: records, state: {} }
    const readings = unseen.map((record) => ({ record, ...readRecord(record, reading) }))
    const unfit = readings.flatMap(({ record, ...read }) => ('unfit' in read ? [{ record, why: read.unfit }] : []))
    const fit = readings.flatMap(({ record, ...read }) => ('message' in read ? [{ record, message: read.message }] : []))
    const messages = batchSize === 1 ? fit : groupRecords(fit, batchSize)
    const accepted = await this.#untilStored(
      messages.map(({ message }) => message),
      state,
      signal,
    )
    if (accepted === null) return false
    const refused = messages.flatMap(({ record }, at) => {
      const why = whyRefused(accepted[at])
      return why === null ? [] : [{ record, why }]
    })
    for (const put of [...unfit, ...refused]) await this.#putAside(put, signal)
    await batch.commit(last)
    return true
  }

  /** null: paused meanwhile. Rejects when the partition is to be given back. */
  async #untilStored(messages: readonly Inbound[], state: StateChanges, signal: AbortSignal): Promise<readonly Outcome[] | null> {
    const { host, isPaused } = this.#parts
    for (let attempt = 1; ; attempt++) {
      try {
        return await host.acceptAll(messages, state)
      } catch (error) {
        // Whatever is not known to be the message's own fault may pass, and the records come again.
        if (error instanceof OpenClawError && !error.retryable) return this.#oneByOne(messages, state, signal)
        host.log.warn({ 'error.code': describeError(error).code, attempt }, 'Records wait, because they cannot be stored now.')
        await host.backoff(attempt, signal)
        if (isPaused()) return null
      }
    }
  }

  /** One of them can never be stored, and must not keep the others out. */
  async #oneByOne(messages: readonly Inbound[], state: StateChanges, signal: AbortSignal): Promise<readonly Outcome[] | null> {
    const outcomes: Outcome[] = []
    for (const message of messages) {
      try {
        outcomes.push(await this.#parts.host.accept(message))
      } catch (error) {
        if (!(error instanceof OpenClawError) || error.retryable) throw error
        outcomes.push(describeError(error))
      }
    }
    await this.#parts.host.writeState(state)
    signal.throwIfAborted()
    return outcomes
  }

  /** To the dead-letter topic; where that takes nothing, into our own dead letters. */
  async #putAside({ record, why }: Put, signal: AbortSignal): Promise<void> {
    const { host, reading, deadLetterTopic, produce, faultOf } = this.#parts
    const topic = deadLetterTopic(record.topic)
    for (let attempt = 1; ; attempt++) {
      try {
        await produce(deadLetterOf(record, why, topic, attempt), signal)
        host.log.warn({ 'error.code': why.code, topic, from: `${record.topic}-${record.partition}-${record.offset}` }, why.message)
        return
      } catch (error) {
        signal.throwIfAborted()
        const fault = faultOf(error, topic)
        host.log.warn({ 'error.code': fault.code, topic, attempt }, fault.message)
        if (!fault.retryable) break
        await host.backoff(attempt, signal)
      }
    }
    await host.accept(unfitMessage(record, reading.account, why))
  }

  /** Beats until it is cancelled, however long the store takes; a beat that fails means that the partition is no longer ours. */
  #beat(batch: Batch, lost: AbortController): () => void {
    const { clock } = this.#parts.host
    let cancel = (): void => {}
    let isOver = false
    const beat = async (): Promise<void> => {
      try {
        await batch.beat()
        if (!isOver) next()
      } catch (error) {
        lost.abort(error)
      }
    }
    const next = (): void => {
      cancel = clock.after(BEAT_MS, () => void beat())
    }
    next()
    return () => {
      isOver = true
      cancel()
    }
  }
}

type Outcome = Accepted | Failure

function whyRefused(outcome: Outcome | undefined): Failure | null {
  if (outcome === undefined) throw new UnavailableError('Not every record got an answer.', { code: 'STORE_FAILED' })
  if (!('status' in outcome)) return outcome
  if (outcome.status !== 'conflict') return null
  return { code: 'IDEMPOTENCY_KEY_REUSED', message: 'The id of the record was used before, for other content.' }
}

function deadLetterOf(record: KafkaRecord, why: Failure, topic: string, attempts: number): NewRecord {
  const { key, value, headers } = record
  return {
    topic,
    key,
    value,
    headers: [
      ...headers,
      ['openclaw-original-topic', record.topic],
      ['openclaw-original-partition', String(record.partition)],
      ['openclaw-original-offset', record.offset],
      ['openclaw-original-timestamp', String(record.timestamp)],
      ['openclaw-error', why.code],
      ['openclaw-error-message', why.message],
      ['openclaw-attempts', String(attempts)],
    ],
  }
}
