/**
 * What can go wrong with one model call, by what the router has to do next. Answers of providers are classified here and
 * nowhere else. Their error texts may quote the prompt or the key, so only status, type, code and parameter are kept.
 */
import { isJsonObject, ModelError } from '#contract'
import type { JsonObject, JsonValue } from '#contract'

/**
 * transient: the same call may succeed later. rate: later, and the provider may have said when. auth: the credential is
 * bad. quota: the account is empty. overflow: the prompt is longer than the context window. refused: a content filter
 * said no. rejected: this model will never take this request.
 */
export type FaultKind = 'transient' | 'rate' | 'auth' | 'quota' | 'overflow' | 'refused' | 'rejected'

const CODES: { readonly [kind in FaultKind]: string } = {
  transient: 'MODEL_UNAVAILABLE',
  rate: 'MODEL_RATE_LIMITED',
  auth: 'MODEL_AUTH_REJECTED',
  quota: 'MODEL_QUOTA_EXHAUSTED',
  overflow: 'MODEL_CONTEXT_OVERFLOW',
  refused: 'MODEL_REFUSED',
  rejected: 'MODEL_REJECTED',
}

export class ModelFault extends ModelError {
  readonly kind: FaultKind
  constructor(kind: FaultKind, message: string, options: { readonly retryAfterMs?: number | null; readonly cause?: unknown } = {}) {
    super(message, {
      code: CODES[kind],
      cause: options.cause,
      retryable: kind === 'transient' || kind === 'rate',
      ...(options.retryAfterMs === null || options.retryAfterMs === undefined ? {} : { retryAfterMs: options.retryAfterMs }),
    })
    this.kind = kind
  }
}

export interface ErrorAnswer {
  readonly status: number
  readonly headers: { readonly [name: string]: string | string[] | undefined }
  readonly body: string
  readonly now: number
}

export function faultOfAnswer(answer: ErrorAnswer): ModelFault {
  const detail = errorDetail(answer.body)
  const message = `answered ${answer.status}${detail.label === '' ? '' : ` (${detail.label})`}`
  const kind = kindOf(answer.status, detail)
  return new ModelFault(kind, message, { retryAfterMs: retryAfterMs(answer) })
}

/** An error inside a stream that began well: `{type?, code?, message?}` as all three wires have it. */
export function faultOfEvent(error: JsonValue | undefined): ModelFault {
  const detail = detailOf(isJsonObject(error) ? error : {})
  const status = STREAM_STATUS[detail.type] ?? STREAM_STATUS[detail.code] ?? (Number(detail.code) || 500)
  return new ModelFault(kindOf(status, detail), `broke off${detail.label === '' ? '' : ` (${detail.label})`}`)
}
/** https://docs.claude.com/en/api/errors: the status that the type would have had before the stream began. */
const STREAM_STATUS: { readonly [type: string]: number } = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  overloaded_error: 529,
  insufficient_quota: 402,
}

interface Detail {
  readonly type: string
  readonly code: string
  /** type, code and parameter, for people. */
  readonly label: string
  /** For the patterns below only; never shown. */
  readonly text: string
}

function kindOf(status: number, detail: Detail): FaultKind {
  if (isQuota(detail) || status === 402) return 'quota'
  if (status === 413 || ((status === 400 || status === 422) && isOverflow(detail))) return 'overflow'
  if (status === 400 && isFiltered(detail)) return 'refused'
  if (status === 401 || status === 403) return 'auth'
  if (status === 429) return 'rate'
  if (status === 408 || status === 409 || status === 425 || status >= 500) return 'transient'
  return 'rejected'
}

const isQuota = (detail: Detail): boolean =>
  detail.code === 'insufficient_quota' || detail.type === 'insufficient_quota' || detail.text.includes('credit balance is too low')
const isFiltered = (detail: Detail): boolean => detail.code === 'content_filter' || detail.code === 'content_policy_violation'
const isOverflow = (detail: Detail): boolean =>
  detail.code === 'context_length_exceeded' ||
  /context (length|window|size)|prompt is too long|input is too long|too many (input )?tokens|exceeds? .{0,40}context/.test(detail.text)

function errorDetail(body: string): Detail {
  try {
    const parsed: unknown = JSON.parse(body)
    const error = isJsonObject(parsed) ? (parsed['error'] ?? parsed) : {}
    return detailOf(isJsonObject(error) ? error : { message: error })
  } catch {
    return detailOf({})
  }
}

function detailOf(error: JsonObject): Detail {
  const type = word(error['type'])
  const code = word(error['code'])
  const label = [...new Set([type, code, word(error['param'])])].filter((part) => part !== '').join(', ')
  const message = error['message']
  return { type, code, label, text: typeof message === 'string' ? message.slice(0, 2_000).toLowerCase() : '' }
}
const word = (value: JsonValue | undefined): string => {
  const text = typeof value === 'number' ? String(value) : value
  return typeof text === 'string' && /^[\w.[\]-]{1,64}$/.test(text) ? text : ''
}

/** RFC 9110 §10.2.3: seconds or a date. `retry-after-ms` is OpenAI's own. */
function retryAfterMs(answer: ErrorAnswer): number | null {
  const exact = Number(answer.headers['retry-after-ms'])
  if (Number.isFinite(exact) && exact > 0) return exact
  const text = answer.headers['retry-after']
  if (typeof text !== 'string') return null
  const seconds = Number(text)
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1_000)
  const date = Date.parse(text)
  return Number.isNaN(date) ? null : Math.max(0, date - answer.now)
}
