/** Who asks, on routes that let nobody in without a credential. */
import { DeniedError, isOperator } from '#contract'
import type { HttpRequest, Principal } from '#contract'
import { operatorOnly } from '../operator.ts'

export function principalOf({ principal }: Pick<HttpRequest, 'principal'>): Principal {
  if (principal === null) throw new DeniedError('Say who you are.', { code: 'UNAUTHENTICATED', reason: 'unauthenticated' })
  return principal
}

/** Whose rows this is about: the caller's, never what the request says. */
export const tenantOf = (request: Pick<HttpRequest, 'principal'>): string => principalOf(request).tenant

/** For what concerns the whole gateway. */
export function operatorOf(request: HttpRequest): Principal {
  const principal = principalOf(request)
  if (isOperator(principal)) return principal
  throw operatorOnly()
}
