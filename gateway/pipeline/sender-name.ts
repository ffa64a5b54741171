/**
 * Names of senders as people write them into a list, made comparable: telephone numbers by their digits, whatever stands
 * between them; all else without regard to case.
 */

/** A country code and at least a short subscriber number (ITU-T E.164 §6: at most 15 digits). */
const MIN_DIGITS = 7
const MAX_DIGITS = 15

export function nameKey(name: string): string {
  const trimmed = name.trim()
  if (/^[+(]?\d[\d ()./-]*$/.test(trimmed)) {
    const digits = trimmed.replaceAll(/\D/g, '')
    if (digits.length >= MIN_DIGITS && digits.length <= MAX_DIGITS) return digits
  }
  return trimmed.toLowerCase()
}
