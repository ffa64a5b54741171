/** Durations, sizes and networks as people write them. Anything else is null: the caller knows where it stood. */

import { isIP } from 'node:net'

const UNIT_MS: { readonly [unit: string]: number } = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const PARTS = /(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/gy
const ISO = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/
const UNIT_BYTES: { readonly [unit: string]: number } = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
}

/** `5m`, `1h30m`, `500ms`, `PT5M` (ISO 8601 without years and months), or a number of seconds → milliseconds. */
export function durationMs(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? Math.round(value * 1_000) : null
  if (typeof value !== 'string') return null
  if (/^\d+(\.\d+)?$/.test(value)) return Math.round(Number(value) * 1_000)
  if (value.startsWith('P')) return isoMs(value)
  let total = 0
  let end = 0
  for (const part of value.matchAll(PARTS)) {
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? Number.NaN)
    end = part.index + part[0].length
  }
  return end === value.length && end > 0 ? Math.round(total) : null
}

function isoMs(value: string): number | null {
  const found = ISO.exec(value)
  if (!found || value === 'P') return null
  const [weeks, days, hours, minutes, seconds] = found.slice(1).map((digits: string | undefined) => Number(digits ?? 0))
  return Math.round(((((weeks ?? 0) * 7 + (days ?? 0)) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60_000 + (seconds ?? 0) * 1_000)
}

/** `1MiB`, `512KiB`, `1.5MB` (1 MB is a million), `1Mi`, or a number of bytes. */
export function sizeBytes(value: unknown): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null
  if (typeof value !== 'string') return null
  const found = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(value)
  const unit = UNIT_BYTES[(found?.[2] ?? '-').toLowerCase()]
  return found && unit !== undefined ? Math.round(Number(found[1]) * unit) : null
}

/** `10.0.0.0/8`, `fd00::/8`, `192.168.1.7`. */
export function isNetwork(value: string): boolean {
  const [net = '', prefix, ...more] = value.split('/')
  const family = isIP(net)
  if (family === 0 || more.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}
