/**
 * Bounds of JSON that a stranger wrote: so deep, so many values, no half characters, and none of the names by which JavaScript objects
 * are poisoned. Walks without recursion, because the depth is what may be wrong. What the JSON means is for others.
 */
import { isJsonObject, pointerToken } from '#contract'
import type { Fault } from '#contract'

export interface Bounds {
  readonly depth: number
  /** Values in all, members and elements included. */
  readonly values: number
  /** Data may have members called `constructor` and `prototype`; `__proto__` nothing may have. */
  readonly isData?: boolean
}

interface Place {
  readonly value: unknown
  readonly depth: number
  readonly name: string
  readonly parent: Place | null
}

const POISON: ReadonlySet<string> = new Set(['constructor', 'prototype'])

/** The first thing that is wrong with it; null: nothing. */
export function jsonFault(root: unknown, { depth, values, isData = false }: Bounds): Fault | null {
  const waiting: Place[] = [{ value: root, depth: 0, name: '', parent: null }]
  let seen = 0
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    const fault = (detail: string): Fault => ({ pointer: pointerOf(place), detail })
    if (++seen > values) return fault(`more than ${values} values in all`)
    const { value } = place
    if (value === null || typeof value === 'boolean') continue
    if (typeof value === 'string') {
      if (!value.isWellFormed()) return fault('holds half of a surrogate pair')
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) return fault('is no number that JSON can say')
    } else if (Array.isArray(value) || isJsonObject(value)) {
      if (place.depth >= depth) return fault(`nested more than ${depth} deep`)
      const members = Array.isArray(value) ? value.entries() : Object.entries(value)
      for (const [name, member] of members) {
        const child: Place = { value: member, depth: place.depth + 1, name: String(name), parent: place }
        if (child.name === '__proto__' || (!isData && POISON.has(child.name)))
          return { pointer: pointerOf(child), detail: `a member may not be called ${child.name}` }
        if (!child.name.isWellFormed()) return fault('has a member whose name holds half of a surrogate pair')
        waiting.push(child)
      }
    } else return fault('is nothing that JSON can say')
  }
  return null
}

function pointerOf(place: Place): string {
  const names: string[] = []
  for (let at: Place | null = place; at !== null && at.parent !== null; at = at.parent) names.unshift(at.name)
  return `#${names.map((name) => `/${pointerToken(name)}`).join('')}`
}
