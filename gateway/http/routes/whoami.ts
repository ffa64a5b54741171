/** Who the credential proves, and what that allows: the first question when something is refused. */
import { DeniedError, isoTime } from '#contract'
import type { Route } from '#contract'
import { TEXT, TIME_OR_NULL, objectOf } from './schema.ts'
import type { Hub } from './hub.ts'

const WORDS = { type: 'array', items: TEXT }

export function whoamiRoutes({ credentials }: Hub): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/whoami',
      permission: 'public',
      summary: 'Who the credential proves, how, and what it allows',
      tag: 'keys',
      problems: [401],
      responses: {
        200: {
          description: 'You.',
          schema: objectOf({
            principal: TEXT,
            tenant: TEXT,
            credential: TEXT,
            proven_by: { enum: ['key', 'page', 'token', 'certificate'] },
            roles: WORDS,
            scopes: { ...WORDS, description: 'All that it allows, by scopes and roles together; `*` is everything.' },
            expires_at: TIME_OR_NULL,
          }),
        },
      },
      handle: ({ principal }) => {
        const proof = principal === null ? null : credentials.proofOf(principal)
        if (principal === null || proof === null)
          throw new DeniedError('Nobody is signed in.', { code: 'UNAUTHENTICATED', reason: 'unauthenticated' })
        const { id, tenant, credential, scopes } = principal
        return {
          status: 200,
          body: {
            principal: id,
            tenant,
            credential,
            proven_by: proof.by,
            roles: proof.roles,
            scopes: [...scopes].sort(),
            expires_at: isoTime(proof.expiresAt),
          },
        }
      },
    },
  ]
}
