/** How members of documents are shown to people: times, ages, states. */
import type { JsonObject, JsonValue } from '#contract'
import { documentIn, text } from './document.ts'

/** ISO 8601 → local date and time. */
export function time(iso: JsonValue | undefined): string {
  const at = Date.parse(text(iso))
  if (!Number.isFinite(at)) return '-'
  const date = new Date(at)
  const two = (part: number): string => String(part).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** ISO 8601 → how long ago: `12s`, `5m`, `3h`, `2d`. */
export function age(iso: JsonValue | undefined, now: number): string {
  const at = Date.parse(text(iso))
  // What came with the gateway was made at no time.
  if (!Number.isFinite(at) || at === 0) return '-'
  const seconds = Math.max(0, Math.floor((now - at) / 1_000))
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`
}

/** `retrying (MODEL_UNAVAILABLE: …), again at …`. */
export function statusText(message: JsonObject): string {
  const reason = documentIn(message['reason'])
  const why = message['reason'] ? ` (${text(reason['code'])}: ${text(reason['message'])})` : ''
  const due = message['due_at'] ? `, again at ${time(message['due_at'])}` : ''
  return `${text(message['status'])}${why}${due}`
}
