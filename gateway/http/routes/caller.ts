/** Who asks, on routes that let nobody in without a credential. */
import { DeniedError } from '#contract'
import type { HttpRequest, Principal } from '#contract'

export function principalOf({ principal }: Pick<HttpRequest, 'principal'>): Principal {
  if (principal === null) throw new DeniedError('Say who you are.', { code: 'UNAUTHENTICATED', reason: 'unauthenticated' })
  return principal
}

/** Whose rows this is about: the caller's, never what the request says. */
export const tenantOf = (request: Pick<HttpRequest, 'principal'>): string => principalOf(request).tenant
