/**
 * What is secret, and how it looks: by the name of a member, which is masked wherever settings, fields or documents are shown or logged, and
 * by value, in all the forms in which one is likely to turn up.
 */

const SECRET =
  /(api[_-]?key|private[_-]?key|access[_-]?key|token|secret|secret[_-]?id|password|passwd|passphrase|authorization|cookie|credentials?)$/i

/** `api_key`, `botToken`, `Authorization`; not `max_tokens`. */
export const isSecretName = (name: string): boolean => SECRET.test(name)

export const SECRET_MASK = '***'

/** Takes known secrets out of words that came from outside. */
export type Redact = (text: string) => string

/** As it is, and as it looks in URLs, in JSON, in hexadecimal, and in base64 wherever in a longer text it begins. */
export function secretForms(secret: string): readonly string[] {
  const url = encodeURIComponent(secret)
  return [
    ...new Set([
      secret,
      url,
      url.replaceAll(/%[0-9A-F]{2}/g, (byte) => byte.toLowerCase()),
      url.replaceAll('%20', '+'),
      JSON.stringify(secret).slice(1, -1),
      Buffer.from(secret).toString('hex'),
      ...[0, 1, 2].flatMap((offset) => inBase64(secret, offset)),
    ]),
  ]
}

/** The characters that only the secret decides, when so many bytes of a group of three come before it. */
function inBase64(secret: string, offset: number): readonly string[] {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)])
  const first = Math.ceil((offset * 8) / 6)
  const last = Math.floor((bytes.length * 8) / 6)
  const core = bytes.toString('base64').slice(first, last)
  return [core, core.replaceAll('+', '-').replaceAll('/', '_')]
}
