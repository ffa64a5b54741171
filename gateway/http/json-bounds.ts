/**
 * Bounds of JSON that came from outside: so deep, so many members, and none of the names by which JavaScript objects are poisoned. Walks
 * without recursion, because the depth is what may be wrong.
 */
import { pointerToken } from '#contract'
import type { Fault, JsonValue } from '#contract'

const MAX_DEPTH = 32
const MAX_MEMBERS = 1_000

interface Frame {
  readonly value: object
  readonly depth: number
  readonly name: string
  readonly parent: Frame | null
}

/** What is wrong with it; null: nothing. */
export function boundsFault(value: JsonValue, maxMembers: number = MAX_MEMBERS): Fault | null {
  if (typeof value !== 'object' || value === null) return null
  const waiting: Frame[] = [{ value, depth: 1, name: '', parent: null }]
  let members = 0
  for (let frame = waiting.pop(); frame !== undefined; frame = waiting.pop()) {
    if (frame.depth > MAX_DEPTH) return { pointer: pointerOf(frame, null), detail: `nested more than ${MAX_DEPTH} deep` }
    if (Array.isArray(frame.value)) {
      for (let index = 0; index < frame.value.length; index++) push(waiting, frame, String(index), frame.value[index])
      continue
    }
    for (const [name, member] of Object.entries(frame.value)) {
      if (name === '__proto__' || name === 'constructor' || name === 'prototype') {
        return { pointer: pointerOf(frame, name), detail: `a member may not be called ${name}` }
      }
      if (++members > maxMembers) return { pointer: pointerOf(frame, name), detail: `more than ${maxMembers} members` }
      push(waiting, frame, name, member)
    }
  }
  return null
}

function push(waiting: Frame[], parent: Frame, name: string, value: unknown): void {
  if (typeof value === 'object' && value !== null) waiting.push({ value, depth: parent.depth + 1, name, parent })
}

function pointerOf(frame: Frame, member: string | null): string {
  const names = member === null ? [] : [member]
  for (let at: Frame | null = frame; at !== null && at.parent !== null; at = at.parent) names.unshift(at.name)
  return `#${names.map((name) => `/${pointerToken(name)}`).join('')}`
}
