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

/** As it is, and as it looks in URLs, in forms, in JSON, in HTML, in hexadecimal, and in base64 wherever in a longer text it begins. */
export function secretForms(given: string): readonly string[] {
  // What no UTF-8 can carry arrives as U+FFFD.
  const secret = given.toWellFormed()
  const hex = Buffer.from(secret).toString('hex')
  return [
    ...new Set([
      given,
      secret,
      ...inAddress(secret),
      ...inJson(secret),
      secret.replaceAll(/[&<>"']/g, (sign) => HTML[sign] ?? sign),
      hex,
      hex.toUpperCase(),
      ...[0, 1, 2].flatMap((offset) => inBase64(secret, offset)),
    ]),
  ]
}

/** What writers of addresses leave as it is: RFC 3986 §2.3; the same in a path; ECMA-262 §19.2.6.4 and §19.2.6.3; WHATWG URL, query. */
const UNESCAPED: readonly RegExp[] = [/[\w.~-]/, /[\w.~/-]/, /[\w.~!'()*-]/, /[\w.~!'()*;/?:@&=+$,#-]/, /[!$%&(-;=?-~]/]

function inAddress(secret: string): readonly string[] {
  const escape = (sign: string): string => Buffer.from(sign).toString('hex').toUpperCase().replaceAll(/../g, '%$&')
  const forms = UNESCAPED.map((kept) => Array.from(secret, (sign) => (kept.test(sign) ? sign : escape(sign))).join(''))
  return forms.flatMap((form) => [
    form,
    form.replaceAll(/%[0-9A-F]{2}/g, (byte) => byte.toLowerCase()),
    // application/x-www-form-urlencoded (WHATWG URL §5.2)
    form.replaceAll('%20', '+'),
  ])
}

/** JSON.stringify's, in JSON once more, in ASCII alone (Python), with `<>&` escaped (Go), with `/` escaped (PHP). */
function inJson(secret: string): readonly string[] {
  const plain = JSON.stringify(secret).slice(1, -1)
  const escaped = (text: string, which: RegExp): string =>
    text.replaceAll(which, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return [
    plain,
    JSON.stringify(plain).slice(1, -1),
    escaped(plain, /[\u007f-\uffff]/g),
    escaped(plain, /[<>&\u2028\u2029]/g),
    plain.replaceAll('/', String.raw`\/`),
  ]
}

const HTML: { readonly [sign: string]: string } = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** The characters that only the secret decides, when so many bytes of a group of three come before it. */
function inBase64(secret: string, offset: number): readonly string[] {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)])
  const first = Math.ceil((offset * 8) / 6)
  const last = Math.floor((bytes.length * 8) / 6)
  const core = bytes.toString('base64').slice(first, last)
  return [core, core.replaceAll('+', '-').replaceAll('/', '_')]
}
