/**
 * What of an attempt is kept for people to read: enough to see what went wrong, and nothing that would still pass with a receiver. Signatures
 * are good for five minutes, and who may read the log is not who may speak for the gateway; a receiver may answer with what it was
 * sent, or with what it knows.
 */
import { SECRET_MASK, secretForms } from '#contract'
import type { OutboundAnswer } from '#contract'

/** Enough to hold one against another by eye. */
const SHOWN_CHARS = 8
/** The end of what was cut off may be the beginning of a secret; fewer characters of one are of no use. */
const MIN_CHARS = 6
const SIGNATURES: readonly string[] = ['x-openclaw-signature', 'webhook-signature']

type Headers = { readonly [name: string]: string }

export const keptHeaders = (headers: Headers): Headers =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, SIGNATURES.includes(name) ? shortened(value) : value]))

/** null: nothing was answered. */
export function keptResponse(
  { body, isCut }: Pick<OutboundAnswer, 'body' | 'isCut'>,
  { headers, secrets }: { readonly headers: Headers; readonly secrets: readonly string[] },
): string | null {
  if (body.length === 0) return null
  const text = Buffer.from(body).toString()
  // Shorter than any of them, as most answers are.
  if (text.length < MIN_CHARS) return text
  const forms = [...secrets.flatMap((secret) => [secret, secret.replace(/^whsec_/, '')]).flatMap(secretForms), ...signaturesIn(headers)]
  const masked = forms.reduce((kept, form) => kept.replaceAll(form, SECRET_MASK), text)
  return isCut ? forms.reduce(withoutStart, masked) : masked
}

function withoutStart(text: string, form: string): string {
  for (let length = form.length - 1; length >= MIN_CHARS; length--)
    if (text.endsWith(form.slice(0, length))) return text.slice(0, -length) + SECRET_MASK
  return text
}

/** `v1,` and its like are no part of what would pass. */
const shortened = (value: string): string => value.replaceAll(/[A-Za-z0-9+/=]{16,}/g, (signature) => `${signature.slice(0, SHOWN_CHARS)}…`)

const signaturesIn = (headers: Headers): readonly string[] =>
  SIGNATURES.flatMap((name) => headers[name]?.match(/[A-Za-z0-9+/=]{16,}/g) ?? [])
