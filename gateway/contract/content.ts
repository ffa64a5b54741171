/**
 * The body of a broker's message as a payload, read the same way for all brokers. JSON in one of the publish forms is read as that
 * form, other JSON as `json`, UTF-8 as `text`, everything else as `binary`. What cannot be read keeps its bytes and says why.
 */
import { InvalidError } from './errors.ts'
import { isJsonObject } from './envelope.ts'
import { readPayload } from './payload.ts'
import { parsePublish } from './publish.ts'
import type { JsonValue, Payload } from './envelope.ts'
import type { Fault } from './errors.ts'
import type { Failure } from './message.ts'
import type { Publish } from './publish.ts'

export interface Content {
  readonly payload: Payload
  /** What a publish form said beside the payload. */
  readonly publish: Publish | null
  /** It can never be handled, and this is why. */
  readonly flaw: Failure | null
}

export interface ContentBody {
  readonly bytes: Buffer
  /** As the sender said, if it did. */
  readonly contentType: string | null
  readonly contentEncoding: string | null
  readonly maxBytes: number
}

export function readContent({ bytes, contentType, contentEncoding, maxBytes }: ContentBody): Content {
  const mediaType = contentType?.split(';')[0]?.trim().toLowerCase() ?? ''
  const asBinary = (): Payload => binary(bytes, contentType)
  if (bytes.length === 0) return flawed({ text: '' }, { code: 'MESSAGE_EMPTY', message: 'The message has no body.' })
  if (bytes.length > maxBytes) {
    const limit = `It has ${bytes.length} bytes, and \`max_bytes\` allows ${maxBytes}. Send less, or raise the setting.`
    return flawed(asBinary(), { code: 'MESSAGE_TOO_LARGE', message: limit })
  }
  // Many clients name a character set here, which is no encoding (RFC 9110 §8.4.1).
  if (contentEncoding !== null && COMPRESSED.test(contentEncoding)) return plain(binary(bytes, null))
  const isJson = JSON_TYPE.test(mediaType)
  if (mediaType !== '' && !isJson && !mediaType.startsWith('text/')) return plain(asBinary())
  const text = utf8(bytes)
  if (text === null) return isJson ? unreadable(asBinary(), 'it is not UTF-8') : plain(asBinary())
  if (!isJson && (mediaType !== '' || !LOOKS_LIKE_JSON.test(text))) return plain({ text })
  try {
    return ofJson(JSON.parse(text) as JsonValue, asBinary)
  } catch (error) {
    return isJson ? unreadable(asBinary(), describe(error)) : plain({ text })
  }
}

const JSON_TYPE = /^(?:application|text)\/(?:[\w.-]+\+)?json$/
const LOOKS_LIKE_JSON = /^\s*[[{]/
const COMPRESSED = /^(?:x-)?(?:gzip|deflate|compress|br|zstd|snappy|lz4)$/i
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

function utf8(bytes: Buffer): string | null {
  try {
    return UTF8.decode(bytes)
  } catch {
    return null
  }
}

function ofJson(value: JsonValue, asBinary: () => Payload): Content {
  if (typeof value === 'string' && value !== '') return plain({ text: value })
  const publish = isJsonObject(value) && ('payload' in value || 'content' in value) ? publishOf(value) : null
  if (publish !== null) return { payload: publish.payload, publish, flaw: null }
  const faults: Fault[] = []
  const payload = readPayload({ json: value }, '#', faults)
  if (payload !== null) return plain(payload)
  return unreadable(asBinary(), `${faults[0]?.pointer}: ${faults[0]?.detail}`)
}

/** null: other JSON, which has members of the same names. */
function publishOf(value: JsonValue): Publish | null {
  try {
    return parsePublish(value)
  } catch (error) {
    if (error instanceof InvalidError) return null
    throw error
  }
}

function binary(bytes: Buffer, contentType: string | null): Payload {
  const named = { binary: bytes.toString('base64'), media_type: contentType ?? UNKNOWN_TYPE }
  const faults: Fault[] = []
  readPayload(named, '#', faults)
  return faults.length === 0 ? named : { ...named, media_type: UNKNOWN_TYPE }
}

const UNKNOWN_TYPE = 'application/octet-stream'
const plain = (payload: Payload): Content => ({ payload, publish: null, flaw: null })
const flawed = (payload: Payload, flaw: Failure): Content => ({ payload, publish: null, flaw })
const unreadable = (payload: Payload, why: string): Content => ({
  payload,
  publish: null,
  flaw: { code: 'MESSAGE_UNREADABLE', message: `It says that it is JSON, but cannot be read: ${why}` },
})
/** The parser quotes what it read, and a message's text belongs in no error. */
const describe = (error: unknown): string => /position \d+/.exec(String(error))?.[0] ?? 'it ends too early'
