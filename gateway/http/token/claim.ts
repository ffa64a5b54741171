/**
 * What the claims of a verified token say about its holder, by what the issuer's configuration says they mean. Pure: nothing here trusts
 * or checks a signature.
 */
import { DEFAULT_TENANT, TENANT_PATTERN, isJsonObject } from '#contract'
import type { ClaimPaths, JsonObject, JsonValue } from '#contract'

export interface Holder {
  readonly subject: string
  readonly tenant: string
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
}

/** OpenID Connect Core §2 allows a subject 255 characters. */
const MAX_SUBJECT_CHARS = 255
const MAX_WORDS = 1_000

/** @param fixedTenant the tenant of tokens that name none; null: they are refused */
export function readHolder(claims: JsonObject, paths: ClaimPaths, fixedTenant: string | null): Holder | 'claims' | 'tenant' {
  const subject = claimAt(claims, paths.subject)
  if (typeof subject !== 'string' || !isSubject(subject)) return 'claims'
  const tenant = tenantOf(claims, paths.tenant, fixedTenant)
  if (tenant === null) return 'tenant'
  return {
    subject,
    tenant,
    roles: paths.roles === null ? [] : words(claimAt(claims, paths.roles)),
    scopes: words(claimAt(claims, paths.scopes)),
  }
}

/** The default tenant is the operator's: an issuer leads there by its configuration, never by what a token says. */
function tenantOf(claims: JsonObject, path: string | null, fixed: string | null): string | null {
  const claimed = path === null ? undefined : claimAt(claims, path)
  if (claimed === undefined) return fixed
  if (typeof claimed !== 'string' || !new RegExp(TENANT_PATTERN).test(claimed)) return null
  return claimed === DEFAULT_TENANT && fixed !== DEFAULT_TENANT ? null : claimed
}

/** A claim may have dots in its own name (`https://example.com/roles`), so the whole name comes first. */
function claimAt(claims: JsonObject, path: string): JsonValue | undefined {
  if (Object.hasOwn(claims, path)) return claims[path]
  let value: JsonValue | undefined = claims
  for (const step of path.split('.')) {
    if (!isJsonObject(value) || !Object.hasOwn(value, step)) return undefined
    value = value[step]
  }
  return value
}

/** RFC 6749 §3.3: scopes are one text with spaces. Others give a list; both are read alike. */
function words(value: JsonValue | undefined): readonly string[] {
  if (typeof value === 'string') return value.split(' ', MAX_WORDS).filter((word) => word !== '')
  return Array.isArray(value) ? value.slice(0, MAX_WORDS).filter((word) => typeof word === 'string') : []
}

const isSubject = (text: string): boolean => text !== '' && text.length <= MAX_SUBJECT_CHARS && text.isWellFormed() && !/\p{Cc}/u.test(text)
