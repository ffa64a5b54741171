/** Reads JSON that a skill wrote: nothing is thrown, and what is nested too deeply for those who walk it later is none. */
import type { JsonValue } from '#contract'

const MAX_DEPTH = 128

/** undefined: it is no JSON, or too deep. */
export function parseJson(text: string): JsonValue | undefined {
  if (depthOf(text) > MAX_DEPTH) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Of brackets outside of strings, counted before anything is parsed. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let isString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isString) {
      if (code === BACKSLASH) index++
      else if (code === QUOTE) isString = false
    } else if (code === QUOTE) isString = true
    else if (code === BRACKET || code === BRACE) deepest = Math.max(deepest, ++depth)
    else if (code === BRACKET + 2 || code === BRACE + 2) depth--
  }
  return deepest
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const BRACKET = 0x5b
const BRACE = 0x7b
