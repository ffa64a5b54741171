/** Tokens called back before their end. Issuers know nothing of it: the gateway takes them no more, and closes what they hold open. */
import { InvalidError, isJsonObject, isoTime } from '#contract'
import type { HttpRequest, JsonObject, RevocationRecord, Route } from '#contract'
import { PAGING } from '../cursor.ts'
import type { Revoked } from '../token/revocations.ts'
import { principalOf } from './caller.ts'
import { TEXT, TEXT_OR_NULL, TIME, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

const REVOCATION = objectOf({
  id: TEXT,
  issuer: TEXT,
  jti: { ...TEXT_OR_NULL, description: 'The one token; null: all of a subject.' },
  subject: TEXT_OR_NULL,
  not_before: { ...TIME_OR_NULL, description: 'Tokens of the subject that were issued until then count no more.' },
  created_at: TIME,
  created_by: TEXT,
  expires_at: { ...TIME, description: 'By then all such tokens have ended by themselves.' },
})
const NAME: JsonObject = { type: 'string', minLength: 1, maxLength: 255 }
const NEW_REVOCATION: JsonObject = {
  type: 'object',
  required: ['issuer'],
  properties: {
    issuer: { type: 'string', minLength: 1, maxLength: 2_048, description: 'As in `auth.issuers`.' },
    jti: { ...NAME, description: 'Id of one token.' },
    subject: { ...NAME, description: 'All that this subject has now.' },
  },
  oneOf: [{ required: ['jti'] }, { required: ['subject'] }],
  additionalProperties: false,
  examples: [{ issuer: 'https://id.example.com/', subject: 'alice' }],
}

export function revocationRoutes({ services, cursors }: Hub): readonly Route[] {
  const { tokens } = services
  return [
    {
      method: 'GET',
      path: '/v1/revocations',
      permission: 'keys:read',
      summary: 'Tokens that were called back',
      tag: 'keys',
      query: PAGING,
      responses: { 200: { description: 'Newest first.', schema: pageOf(REVOCATION) } },
      handle: async (request) => {
        // Counted from the oldest, so that a page stays where it is while new ones come.
        const all = tokens.revocations(principalOf(request).tenant)
        const rows = all.map((record, index) => ({ record, seq: all.length - index }))
        const body = await cursors.page({
          request,
          list: 'revocations',
          read: async (before, limit) => rows.filter(({ seq }) => seq < (before ?? Infinity)).slice(0, limit),
          seqOf: ({ seq }) => seq,
          show: ({ record }) => revocationDocument(record),
        })
        return { status: 200, body }
      },
    },
    {
      method: 'POST',
      path: '/v1/revocations',
      permission: 'keys:write',
      summary: 'Calls one token back, or all that a subject has now',
      tag: 'keys',
      body: NEW_REVOCATION,
      idempotency: 'kept',
      responses: { 201: { description: 'It is in force.', schema: REVOCATION } },
      handle: async (request) => {
        const { issuer, of } = readRevocation(request)
        if (!tokens.isIssuer(issuer)) {
          throw new InvalidError('No issuer of this name is configured, so none of its tokens counts anyway.', {
            code: 'ISSUER_UNKNOWN',
            faults: [{ pointer: '#/issuer', detail: 'is not one of `auth.issuers`' }],
          })
        }
        const { tenant, id } = principalOf(request)
        return { status: 201, body: revocationDocument(await tokens.revoke(tenant, { issuer, of, by: id })) }
      },
    },
  ]
}

/** The schema has seen to it that one of the two is there. */
function readRevocation({ body }: HttpRequest): { readonly issuer: string; readonly of: Revoked } {
  const { issuer, jti, subject } = isJsonObject(body) ? body : {}
  const of = typeof jti === 'string' ? { jti } : { subject: typeof subject === 'string' ? subject : '' }
  return { issuer: typeof issuer === 'string' ? issuer : '', of }
}

const revocationDocument = ({ id, issuer, of, createdAt, createdBy, expiresAt }: RevocationRecord): JsonObject => ({
  id,
  issuer,
  jti: of.is === 'token' ? of.jti : null,
  subject: of.is === 'subject' ? of.subject : null,
  not_before: of.is === 'subject' ? isoTime(of.notBefore) : null,
  created_at: isoTime(createdAt),
  created_by: createdBy,
  expires_at: isoTime(expiresAt),
})
