/**
 * Makes words fit for a log: secrets by the name of their member, by exact value and by their looks are masked, and
 * what could forge a line (line ends, terminal escapes, control characters) is taken out. Also for problem details and whatever else
 * leaves the process with words from outside in it.
 */
import { describeError, isJsonObject, isSecretName, secretForms, SECRET_MASK } from '#contract'
import type { JsonObject, JsonValue, LogFields } from '#contract'

const MAX_SCANNED = 16_384
const MAX_KEPT = 8_192
const MAX_HALF = 1_024
const MAX_DEPTH = 6
const MAX_MEMBERS = 64
const MAX_SECRETS = 1_000
const MAX_NAMES = 500
/** Shorter ones would mask ordinary words. */
const MIN_SECRET = 6
/** A secret of several lines (a key in PEM, a JSON file) is known by each of them that is so long: some writer shows one alone. */
const MIN_LINE = 24

/** ANSI sequences (ECMA-48): CSI, OSC with its end, and two-character escapes. */
// oxlint-disable-next-line no-control-regex
const ANSI = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[@-Z\\-_]/g
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g

/** What secrets look like; groups are the words around one, see `mask`. */
const LOOKS = new RegExp(
  [
    String.raw`(\bbearer\s+)[\w.~+/=-]{6,}`,
    String.raw`(\bauthorization["']?\s*[:=]\s*["']?(?:basic|token)\s+)\S+`,
    String.raw`\beyJ[\w-]{6,2000}\.[\w-]{2,}(?:\.[\w-]*)?`,
    String.raw`\bock_[\w-]{8,}`,
    String.raw`\boek_[\w-]{43}`,
    String.raw`\bhv[sbr]\.[\w-]{20,}`,
    String.raw`\bwhsec_[\w+/=-]{8,}`,
    String.raw`\bxox[a-z]-[\w-]{8,}`,
    String.raw`\bxapp-[\w-]{8,}`,
    String.raw`\bsk-[\w-]{16,}`,
    String.raw`\bgh[opsur]_\w{20,}`,
    String.raw`\bAIza[\w-]{35}`,
    String.raw`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`,
    String.raw`\d{6,12}:[\w-]{30,}`,
    String.raw`-----BEGIN [A-Z0-9 ]+-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z0-9 ]+-----)?`,
    String.raw`(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/?#]+(?=@)`,
    String.raw`([?&](?:token|access_token|api_?key|key|secret|password|code|sig|signature)=)[^&\s#]+`,
  ].join('|'),
  'gi',
)

export class Redactor {
  readonly #secrets = new Set<string>()
  /** Names seen so far: mostly the same few on every line. */
  readonly #names = new Map<string, boolean>()
  #exact: RegExp | null = null

  /**
   * From now on this value is masked wherever it stands, in all its forms. Old values stay masked: they are in what others still hold. When there are too
   * many, those go that were told longest ago.
   */
  add(value: string): void {
    if (value.length < MIN_SECRET) return
    const isKnown = this.#secrets.delete(value)
    this.#secrets.add(value)
    if (isKnown) return
    const [oldest] = this.#secrets
    if (this.#secrets.size > MAX_SECRETS && oldest !== undefined) this.#secrets.delete(oldest)
    this.#exact = null
  }

  /** One line without secrets. */
  text(text: string): string {
    const scanned = text.slice(0, MAX_SCANNED).replace(ANSI, '').replace(CONTROL, ' ')
    const known = this.#secrets.size === 0 ? scanned : scanned.replace(this.#pattern(), SECRET_MASK)
    const safe = known.length < MIN_SECRET ? known : known.replace(LOOKS, mask)
    const isCut = text.length > MAX_SCANNED
    // Where it was cut there may be half a secret, which nothing knows.
    const kept = safe.slice(0, Math.min(MAX_KEPT, isCut ? safe.length - MAX_HALF : MAX_KEPT))
    const left = safe.length - kept.length + (isCut ? text.length - MAX_SCANNED : 0)
    return left === 0 ? safe : `${kept}… (${left} more)`
  }

  /** Fields of a log line, as plain JSON. Their names are code's, not the world's. */
  fields(fields: LogFields): JsonObject {
    const clean: { [name: string]: JsonValue } = {}
    for (const name of Object.keys(fields)) {
      const value = fields[name]
      if (value !== undefined) clean[name] = value instanceof Error ? this.error(value) : this.#member(name, value, 0)
    }
    return clean
  }

  /** `code` and message as everywhere, and where it was thrown; causes up to three deep. */
  error(error: Error, depth = 0): JsonObject {
    const { code, message } = describeError(error)
    const frames = error.stack?.slice(error.stack.indexOf('\n    at ') + 1) ?? ''
    return {
      type: error.name,
      code,
      message: this.text(message),
      stack: frames
        .split('\n')
        .slice(0, 12)
        .map((frame) => this.text(frame.trim())),
      ...(error.cause instanceof Error && depth < 3 ? { cause: this.error(error.cause, depth + 1) } : {}),
    }
  }

  /** Made when it is needed: secrets come in numbers. */
  #pattern(): RegExp {
    // A secret of several lines is looked for in text whose line ends are already out.
    if (this.#exact !== null) return this.#exact
    const forms = [...this.#secrets].flatMap((secret) => [
      ...secretForms(secret),
      secret.replace(ANSI, '').replace(CONTROL, ' '),
      ...secret.split(/[\r\n]+/).filter((line) => line.length >= MIN_LINE),
    ])
    const longestFirst = [...new Set(forms)].filter((form) => form.length >= MIN_SECRET).sort((a, b) => b.length - a.length)
    return (this.#exact = new RegExp(longestFirst.map(literally).join('|'), 'g'))
  }

  #member(name: string, value: JsonValue, depth: number): JsonValue {
    if (value === null || typeof value === 'boolean') return value
    if (this.#isSecret(name)) return SECRET_MASK
    if (typeof value === 'string') return this.text(value)
    if (typeof value !== 'object') return value
    if (depth >= MAX_DEPTH) return '…'
    if (Array.isArray(value)) return value.slice(0, MAX_MEMBERS).map((item: JsonValue) => this.#member('', item, depth + 1))
    if (!isJsonObject(value)) return null
    const members = Object.entries(value).slice(0, MAX_MEMBERS)
    return Object.fromEntries(members.map(([key, member]) => [this.text(key), this.#member(key, member, depth + 1)]))
  }

  #isSecret(name: string): boolean {
    let secret = this.#names.get(name)
    if (secret === undefined) {
      secret = isSecretName(name)
      if (this.#names.size < MAX_NAMES) this.#names.set(name, secret)
    }
    return secret
  }
}

/** Keeps the words around the secret: at most one group matched. */
function mask(_: string, bearer?: string, authorization?: string, scheme?: string, parameter?: string): string {
  return (bearer ?? authorization ?? scheme ?? parameter ?? '') + SECRET_MASK
}

const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)
