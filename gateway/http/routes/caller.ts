/** Who asks, on routes that let nobody in without a credential. */
import { DEFAULT_TENANT, DeniedError } from '#contract'
import type { HttpRequest, Principal } from '#contract'

export function principalOf({ principal }: HttpRequest): Principal {
  if (principal === null) throw new DeniedError('Say who you are.', { code: 'UNAUTHENTICATED', reason: 'unauthenticated' })
  return principal
}

/** For what concerns the whole gateway: only who runs it, and that is a matter of the tenant `default`. */
export function operatorOf(request: HttpRequest): Principal {
  const principal = principalOf(request)
  if (principal.tenant === DEFAULT_TENANT) return principal
  throw new DeniedError('This is of the whole gateway; only the tenant `default` may see or change it.', {
    code: 'GATEWAY_WIDE',
    reason: 'forbidden',
  })
}
