/** Which settings keep the value that they began with although a secret in them is another by now: those that are read at the start alone. */
import type { Origin } from './check.ts'

/** What `run.ts` puts in force when the configuration is read again. */
const RELOADED = /^(agents|routes|rules|fallback|llm|skills|secrets|session|log\.level|server\.rate_limits)\b/

/** The paths at which one of these references stands. */
export function heldBack(origins: ReadonlyMap<string, Origin>, references: readonly string[]): readonly string[] {
  const moved = new Set(references)
  return [...origins].flatMap(([path, origin]) =>
    origin.from === 'file' && !RELOADED.test(path) && origin.env?.some((reference) => moved.has(reference)) === true ? [path] : [],
  )
}
