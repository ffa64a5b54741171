/** Several records of one conversation as one message: a JSON array of what they say. Pure. */
import type { Inbound, JsonValue } from '#contract'
import type { KafkaRecord } from './seam.ts'
import { MAX_BYTES, batchedValue, placeOf } from './record.ts'

export interface Read {
  readonly record: KafkaRecord
  readonly message: Inbound
}

interface Group {
  readonly first: Read
  readonly members: Read[]
  bytes: number
}

/** In the order of their last records, with that record for what has to be committed or put aside. */
export function groupRecords(reads: readonly Read[], size: number): readonly Read[] {
  const open = new Map<string, Group>()
  const groups: Group[] = []
  for (const read of reads) {
    const { lane, author } = read.message
    const bytes = read.record.value?.length ?? 0
    const group = open.get(lane)
    // What we said ourselves is passed over alone, and one answer goes to one place.
    const fits =
      group !== undefined &&
      group.members.length < size &&
      group.bytes + bytes <= MAX_BYTES &&
      group.first.message.author === author &&
      group.first.message.reply.chat === read.message.reply.chat
    if (fits) {
      group.members.push(read)
      group.bytes += bytes
    } else {
      const begun = { first: read, members: [read], bytes }
      open.set(lane, begun)
      groups.push(begun)
    }
  }
  return groups.map(({ members, first }) => merged(members, first))
}

/**
 * An answer goes where its last record wants it. The key is the place of the first: by its own id a repeat of it alone would keep
 * the others out.
 */
function merged(members: readonly Read[], first: Read): Read {
  const last = members.at(-1) ?? first
  const { message } = last
  const json: readonly JsonValue[] = members.map((member) => batchedValue(member.message.payload))
  const metadata = { ...message.metadata, offset: first.record.offset, records: members.length }
  return {
    record: last.record,
    message: { ...message, key: placeOf(first.record), fingerprint: null, payload: { json }, metadata },
  }
}
