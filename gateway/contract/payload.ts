/**
 * Reads what somebody outside wrote as payload, metadata or name into the canonical form. Faults are collected, not thrown, so
 * that a caller can report all of them together. Text is never changed; names are strict, because they become keys.
 */
import { CLIENT_TURN } from './client-turn.ts'
import { isJsonObject } from './envelope.ts'
import type { JsonValue, Metadata, Payload } from './envelope.ts'
import type { Fault } from './errors.ts'

const MAX_DEPTH = 32
const MAX_MEMBERS = 1_000
export const MAX_NAME_CHARS = 255
/** RFC 4648 §4, padded. */
export const BASE64_PATTERN: string = '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'
/** RFC 6838 §4.2, with parameters. */
export const MEDIA_TYPE_PATTERN: string = '^[\\w!#$&^.+-]{1,127}/[\\w!#$&^.+-]{1,127}(?:\\s*;[\\x20-\\x7e]{0,200})?$'

/**
 * Text is `text`; an object with exactly the members of a canonical payload is that payload; any other object and every array is
 * `json`. So reading a canonical payload changes nothing. null: it had a fault.
 */
export function readPayload(value: JsonValue | undefined, pointer: string, faults: Fault[]): Payload | null {
  if (typeof value === 'string') return readText(value, pointer, faults)
  if (typeof value !== 'object' || value === null) {
    faults.push({ pointer, detail: 'A payload is needed: text, an object or an array.' })
    return null
  }
  if (!isWithinBounds(value, pointer, faults)) return null
  if (!isJsonObject(value)) return { json: value }
  const { text, json, binary, media_type: mediaType, ...others } = value
  if (Object.keys(others).length > 0) return { json: value }
  if (typeof text === 'string' && json === undefined && binary === undefined && mediaType === undefined) {
    return readText(text, `${pointer}/text`, faults)
  }
  if (json !== undefined && text === undefined && binary === undefined && mediaType === undefined) return { json }
  if (typeof binary === 'string' && typeof mediaType === 'string' && text === undefined && json === undefined) {
    return readBinary(binary, mediaType, pointer, faults)
  }
  return { json: value }
}

/** Free members stay as they are; those with a meaning must be fit for it. Absent: empty. */
export function readMetadata(value: JsonValue | undefined, pointer: string, faults: Fault[]): Metadata {
  if (value === undefined) return NOTHING
  if (!isJsonObject(value)) {
    faults.push({ pointer, detail: 'Metadata must be an object.' })
    return NOTHING
  }
  if (!isWithinBounds(value, pointer, faults)) return NOTHING
  if (value[CLIENT_TURN] !== undefined) faults.push({ pointer: `${pointer}/${CLIENT_TURN}`, detail: "This name is the gateway's own." })
  for (const name of NAMED) {
    const member = value[name]
    if (member !== undefined) readName(member, `${pointer}/${name}`, faults)
  }
  const { traceparent, headers } = value
  if (traceparent !== undefined && !(typeof traceparent === 'string' && isTraceparent(traceparent))) {
    faults.push({ pointer: `${pointer}/traceparent`, detail: 'Must be a W3C traceparent.' })
  }
  if (headers === undefined) return value
  return { ...value, headers: readHeaders(headers, `${pointer}/headers`, faults) }
}

/** Names of things: ids, keys, sessions, users, topics. null: not fit to be one. */
export function readName(value: JsonValue | undefined, pointer: string, faults: Fault[], maxChars: number = MAX_NAME_CHARS): string | null {
  if (typeof value === 'string' && value !== '' && value.length <= maxChars && value.isWellFormed() && !CONTROL.test(value)) return value
  faults.push({ pointer, detail: `Must be text of 1 to ${maxChars} characters, well-formed Unicode without control characters.` })
  return null
}

/** W3C Trace Context §3.2: a later version may be longer, all-zero ids are invalid. */
export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text) && (text.length === 55 || !text.startsWith('00'))
}

/** One token of a JSON Pointer (RFC 6901 §3); bounded, because the name came from outside. */
export const pointerToken = (name: string): string => name.slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1')

const NOTHING: Metadata = {}
const NAMED = ['channel_id', 'user_id', 'session_id', 'agent_id', 'topic'] as const
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
const CONTROL = /\p{Cc}/u
const BASE64 = new RegExp(BASE64_PATTERN)
const MEDIA_TYPE = new RegExp(MEDIA_TYPE_PATTERN)
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]{0,200})?$/

function readText(text: string, pointer: string, faults: Fault[]): Payload | null {
  if (text !== '') return { text }
  faults.push({ pointer, detail: 'The text is empty.' })
  return null
}

function readBinary(binary: string, mediaType: string, pointer: string, faults: Fault[]): Payload {
  if (!BASE64.test(binary)) faults.push({ pointer: `${pointer}/binary`, detail: 'Must be base64 (RFC 4648 §4).' })
  if (!MEDIA_TYPE.test(mediaType)) faults.push({ pointer: `${pointer}/media_type`, detail: 'Must be a media type such as image/png.' })
  return { binary, media_type: mediaType }
}

function readHeaders(value: JsonValue, pointer: string, faults: Fault[]): { readonly [name: string]: string } {
  const headers: { [name: string]: string } = {}
  if (!isJsonObject(value)) {
    faults.push({ pointer, detail: 'Must be an object of texts.' })
    return headers
  }
  for (const [name, text] of Object.entries(value)) {
    if (typeof text === 'string') headers[name.toLowerCase()] = text
    else faults.push({ pointer: `${pointer}/${pointerToken(name)}`, detail: 'Must be text.' })
  }
  return headers
}

/** Deep values overflow the stack of whoever walks them, and these names poison whoever merges them. */
/** So deep, so many members, and no name by which objects are poisoned. For JSON that came as text within a body, too: nobody looked into that. */
export function isWithinBounds(value: JsonValue, pointer: string, faults: Fault[], maxMembers: number = MAX_MEMBERS): boolean {
  const flaw = findFlaw(value, 1, { members: 0, maxMembers })
  if (flaw !== null) faults.push({ pointer: pointer + flaw.pointer, detail: flaw.detail })
  return flaw === null
}

function findFlaw(value: JsonValue, depth: number, seen: { members: number; readonly maxMembers: number }): Fault | null {
  if (typeof value === 'number' && !Number.isFinite(value)) return { pointer: '', detail: 'The number is too large.' }
  if (typeof value !== 'object' || value === null) return null
  if (depth >= MAX_DEPTH) return { pointer: '', detail: `Nested more than ${MAX_DEPTH} deep.` }
  if (!isJsonObject(value)) {
    for (let index = 0; index < value.length; index++) {
      const flaw = findFlaw(value[index] ?? null, depth + 1, seen)
      if (flaw !== null) return below(String(index), flaw)
    }
    return null
  }
  for (const name in value) {
    if (FORBIDDEN.has(name)) return below(name, { pointer: '', detail: 'This name is not allowed.' })
    if (++seen.members > seen.maxMembers) return { pointer: '', detail: `More than ${seen.maxMembers} members.` }
    const flaw = findFlaw(value[name] ?? null, depth + 1, seen)
    if (flaw !== null) return below(name, flaw)
  }
  return null
}

const below = (name: string, flaw: Fault): Fault => ({ pointer: `/${pointerToken(name)}${flaw.pointer}`, detail: flaw.detail })
