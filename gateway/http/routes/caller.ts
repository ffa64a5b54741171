/** Who asks, on routes that let nobody in without a credential. */
import { DeniedError } from '#contract'
import type { HttpRequest, Principal } from '#contract'

export function principalOf({ principal }: HttpRequest): Principal {
  if (principal === null) throw new DeniedError('Say who you are.', { code: 'UNAUTHENTICATED', reason: 'unauthenticated' })
  return principal
}
