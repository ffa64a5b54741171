/** Registering skills, as JSON with the files inline or as an archive. Reading either, and judging it, is the catalogue's. */
import { isJsonObject } from '#contract'
import type { HttpRequest, JsonObject, NewSkill, Route, SkillRecord } from '#contract'
import type { Hub } from './hub.ts'
import { TEXT, objectOf } from './schema.ts'
import { VALIDATED, descriptorDocument } from './skill-document.ts'
import { tenantOf } from './skills.ts'

/** Files may have 4 MiB, which base64 makes 5.6. */
const MAX_BODY_BYTES = 8 * 1_048_576
const ARCHIVES = ['application/gzip', 'application/x-gzip', 'application/x-tar']

const HOLD: JsonObject = {
  type: 'boolean',
  description: "It waits for canary or promote, also where it is newer than its major's stable version.",
}
const SKILL: JsonObject = {
  type: 'object',
  required: ['descriptor', 'files'],
  additionalProperties: false,
  properties: {
    descriptor: { type: 'object', description: 'What `skill.json` holds; docs/skills/README.md has every member.' },
    files: {
      type: 'object',
      description: 'Path → text, or bytes in base64.',
      maxProperties: 256,
      additionalProperties: {
        oneOf: [
          { type: 'string' },
          { type: 'object', required: ['base64'], additionalProperties: false, properties: { base64: { type: 'string' } } },
        ],
      },
    },
    signature: { type: 'string', maxLength: 16_384, description: 'Detached JWS over the manifest; `openclaw skills sign` makes one.' },
    hold: HOLD,
    skip_tests: { type: 'boolean', description: 'Register although a test of the descriptor fails or cannot be run here.' },
  },
}

const REGISTERED = objectOf({ id: TEXT, version: TEXT, digest: TEXT, status: { enum: ['registered', 'unchanged'] } })

export function skillRegistrationRoutes({ services }: Hub): readonly Route[] {
  const taken = {
    method: 'POST',
    permission: 'skills:write',
    tag: 'skills',
    body: SKILL,
    accepts: ARCHIVES,
    maxBodyBytes: MAX_BODY_BYTES,
    query: {
      hold: HOLD,
      skip_tests: { type: 'boolean', description: 'For archives, as in the JSON.' },
      signature: { type: 'string', maxLength: 16_384, description: 'For archives, as in the JSON.' },
    },
  } as const
  const given = (request: HttpRequest): NewSkill => {
    const { body, query, raw } = request
    const { descriptor = null, files = {} } = isJsonObject(body) ? body : {}
    const { signature, skip_tests, hold } = isJsonObject(body) ? body : query
    return {
      tenant: tenantOf(request),
      by: request.principal?.id ?? '',
      descriptor,
      files: isJsonObject(files) ? files : {},
      ...(body === undefined && { archive: raw }),
      signature: typeof signature === 'string' ? signature : null,
      skipTests: skip_tests === true,
      hold: hold === true,
    }
  }
  return [
    {
      ...taken,
      path: '/v1/skills',
      summary: 'Registers a version of a skill: JSON with the files inline, or a tar or tar.gz with skill.json in it',
      responses: {
        201: { description: 'It is registered.', schema: REGISTERED },
        200: { description: 'It was there already, just so.', schema: REGISTERED },
      },
      handle: async (request) => {
        const { catalogue } = services.skills
        const skill = given(request)
        const known = new Set(catalogue.list(skill.tenant).flatMap(({ versions }) => versions.map(nameOf)))
        const record = await catalogue.register(skill)
        const { id, version, digest } = record
        const isNew = !known.has(nameOf(record))
        return {
          status: isNew ? 201 : 200,
          headers: { location: `/v1/skills/${encodeURIComponent(id)}/versions/${encodeURIComponent(version)}` },
          body: { id, version, digest, status: isNew ? 'registered' : 'unchanged' },
        }
      },
    },
    {
      ...taken,
      path: '/v1/skills/validate',
      summary: 'What registering would say, without doing it',
      responses: { 200: { description: 'It could be registered.', schema: VALIDATED } },
      handle: async (request) => {
        const descriptor = await services.skills.catalogue.validate(given(request))
        const { id, version } = descriptor
        return { status: 200, body: { valid: true, id, version, ...descriptorDocument(descriptor) } }
      },
    },
  ]
}

const nameOf = ({ id, version }: SkillRecord): string => `${id}@${version}`
