/**
 * The service as the library wants it, from the `.proto` beside it. What cannot be decoded is handed on as a fault instead of ending the call
 * as an internal error, so that the client is told what is wrong.
 */
import { fileURLToPath } from 'node:url'
import type { PackageDefinition, ServiceDefinition } from '@grpc/proto-loader'
import { InvalidError } from '#contract'
import { isRecord } from './struct.ts'
import type { Message } from './method.ts'

/** A message as it came. */
export type Read = { readonly message: Message } | { readonly flaw: 'malformed' | 'text' }

/** Throws for what could not be decoded. */
export function messageOf(read: Read): Message {
  if ('message' in read) return read.message
  if (read.flaw === 'text') throw new InvalidError('A text of the message is not UTF-8.', { code: 'INVALID_UTF8' })
  throw new InvalidError('The message cannot be decoded: it is malformed, or too deep.', { code: 'INVALID_MESSAGE' })
}

export const SERVICE = 'openclaw.v1.Gateway'
const proto: string = fileURLToPath(new URL('openclaw/v1/gateway.proto', import.meta.url))

export async function loadDefinition(): Promise<{ readonly package: PackageDefinition; readonly service: ServiceDefinition }> {
  const { load } = await import('@grpc/proto-loader')
  const loaded = await load(proto, { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true })
  const service = loaded[SERVICE]
  if (service === undefined || 'format' in service) throw new Error(`${SERVICE} is not in its own .proto.`)
  const own = Object.entries(service).map(([name, method]) => {
    const requestDeserialize = (bytes: Buffer): object => read(bytes, method.requestDeserialize)
    return [name, { ...method, requestDeserialize }] as const
  })
  return { package: loaded, service: Object.fromEntries(own) }
}

function read(bytes: Buffer, decode: (bytes: Buffer) => object): Read {
  try {
    const message: object = decode(bytes)
    if (!isRecord(message)) return { flaw: 'malformed' }
    return replacements(message) > given(bytes) ? { flaw: 'text' } : { message }
  } catch {
    return { flaw: 'malformed' }
  }
}

/** The decoder puts U+FFFD for what is not UTF-8, and so would change words in silence: there are more of it then than were sent. */
function replacements(value: unknown): number {
  if (typeof value === 'string') return value.includes('\uFFFD') ? value.split('\uFFFD').length - 1 : 0
  if (!isRecord(value) || Buffer.isBuffer(value)) return 0
  let count = 0
  for (const name in value) count += replacements(name) + replacements(value[name])
  return count
}

function given(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf('\uFFFD'); at >= 0; at = bytes.indexOf('\uFFFD', at + 3)) count++
  return count
}
