/**
 * How far each partition has been taken in, kept in the same transaction as the messages. Needed where several records become one
 * message: after a crash the same records may come in other groups, so that no key of a group would know them again.
 */
import type { ChannelHost, StateChanges } from '#contract'
import type { KafkaRecord } from './seam.ts'

interface Position {
  /** Of the last record that was taken in. */
  readonly offset: string
  /** The latest time of any: where a topic was made anew its offsets begin again, but later. */
  readonly timestamp: number
}

export class Cursor {
  readonly #host: Pick<ChannelHost, 'readState'>

  constructor(host: Pick<ChannelHost, 'readState'>) {
    this.#host = host
  }

  /** Of these, all of one partition, those that were not taken in before; and what to store together with them. */
  async sift(records: readonly KafkaRecord[]): Promise<{ readonly unseen: readonly KafkaRecord[]; readonly state: StateChanges }> {
    const last = records.at(-1)
    if (last === undefined) return { unseen: [], state: {} }
    const key = `taken:${last.topic}-${last.partition}`
    const bytes = await this.#host.readState(key)
    const taken = bytes === null ? NOTHING : (JSON.parse(decoder.decode(bytes)) as Position)
    const unseen = records.filter(({ offset, timestamp }) => BigInt(offset) > BigInt(taken.offset) || timestamp > taken.timestamp)
    const timestamp = unseen.reduce((latest, record) => Math.max(latest, record.timestamp), taken.timestamp)
    const position: Position = { offset: last.offset, timestamp }
    return { unseen, state: unseen.length === 0 ? {} : { [key]: encoder.encode(JSON.stringify(position)) } }
  }
}

const NOTHING: Position = { offset: '-1', timestamp: -1 }
const encoder = new TextEncoder()
const decoder = new TextDecoder()
