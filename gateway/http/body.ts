/**
 * Bodies: read with a limit, parsed, and bounded in depth and members before anybody walks them. No more than that is done
 * for every request; what the members mean is the schema's matter.
 */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { JsonValue } from '#contract'
import { boundsFault } from './json-bounds.ts'
import { ProtocolError } from './problem.ts'

/** The client went away in the middle; there is nobody to answer. */
export class ClientGone extends Error {}

export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return (length !== undefined && length !== '0') || request.headers['transfer-encoding'] !== undefined
}

/** Refuses before the first byte what could not be used anyway. `others`: media types that are taken as bytes. */
export function checkBodyHeaders(request: IncomingMessage, maxBytes: number, others: readonly string[] = []): 'json' | 'bytes' {
  const { headers } = request
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const type = headers['content-type']
  const isJson = type === 'application/json' || isJsonType(type)
  if (!isJson && !others.includes(type?.toLowerCase() ?? '')) {
    const also = others.map((other) => `, or ${other}`).join('')
    throw new ProtocolError(`The body must be JSON in UTF-8, with \`Content-Type: application/json\`${also}.`, {
      code: 'UNSUPPORTED_MEDIA_TYPE',
      slug: 'unsupported-media-type',
      headers: { accept: ['application/json', ...others].join(', ') },
    })
  }
  if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity') {
    throw new ProtocolError('Compressed bodies are not taken.', {
      code: 'UNSUPPORTED_CONTENT_ENCODING',
      slug: 'unsupported-media-type',
      headers: { 'accept-encoding': 'identity' },
    })
  }
  return isJson ? 'json' : 'bytes'
}

export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let first: Buffer | null = null
    let more: Buffer[] | null = null
    let size = 0
    const take = (chunk: Buffer): void => {
      size += chunk.length
      if (size > maxBytes) {
        // What still comes is read and dropped by the server, so that the answer arrives.
        request.off('data', take)
        reject(tooLarge(maxBytes))
      } else if (first === null) first = chunk
      else (more ??= [first]).push(chunk)
    }
    request.on('data', take)
    request.once('end', () => resolve(more === null ? (first ?? Buffer.alloc(0)) : Buffer.concat(more)))
    request.once('error', () => reject(new ClientGone()))
  })
}

export function parseJson(raw: Buffer, maxMembers?: number): JsonValue {
  // Decoding would put U+FFFD for what is not UTF-8, and so change words in silence.
  if (!isUtf8(raw)) throw new ProtocolError('The body is not UTF-8.', { code: 'INVALID_UTF8', slug: 'invalid-json' })
  let value: JsonValue
  try {
    value = JSON.parse(raw.toString()) as JsonValue
  } catch (error) {
    const position = /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1]
    const where = position === undefined ? 'it ends too early' : `at character ${position}`
    throw new ProtocolError(`The body is not JSON: ${where}.`, { code: 'INVALID_JSON', slug: 'invalid-json' })
  }
  checkBounds(value, maxMembers)
  return value
}

/** Throws when it is too deep or has too many members, or names that poison objects. */
export function checkBounds(value: JsonValue, maxMembers?: number): void {
  const fault = boundsFault(value, maxMembers)
  if (fault !== null)
    throw new ProtocolError(`The body is refused: ${fault.detail}.`, { code: 'JSON_REFUSED', slug: 'invalid-json', faults: [fault] })
}

const isJsonType = (type: string | undefined): boolean =>
  type !== undefined && /^application\/(?:[\w.+-]+\+)?json *(?:; *charset *= *"?utf-8"? *)?$/i.test(type)

const tooLarge = (maxBytes: number): ProtocolError =>
  new ProtocolError(`The body may have ${maxBytes} bytes at most.`, { code: 'BODY_TOO_LARGE', slug: 'body-too-large' })
