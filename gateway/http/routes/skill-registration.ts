/** Registering skills, as JSON with the files inline or as an archive. What a good skill is, the catalogue knows. */
import { InvalidError, isJsonObject, pointerToken } from '#contract'
import type { Fault, HttpRequest, JsonObject, JsonValue, NewSkill, Route } from '#contract'
import type { Hub } from './hub.ts'
import { TEXT, objectOf } from './schema.ts'
import { VALIDATED, descriptorDocument } from './skill-document.ts'
import { tenantOf } from './caller.ts'

/** Files may have 4 MiB, which base64 makes 5.6. */
const MAX_BODY_BYTES = 8 * 1_048_576
const ARCHIVES = ['application/gzip', 'application/x-gzip', 'application/x-tar']
const BASE64 = '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'

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
          {
            type: 'object',
            required: ['base64'],
            additionalProperties: false,
            properties: { base64: { type: 'string' } },
          },
        ],
      },
    },
    signature: { type: 'string', maxLength: 16_384, description: 'Detached JWS over the manifest; `openclaw skills sign` makes one.' },
    hold: HOLD,
    skip_tests: { type: 'boolean', description: 'Register although a test of the descriptor fails or cannot be run here.' },
  },
  examples: [
    {
      descriptor: {
        id: 'greeter',
        version: '1.0.0',
        description: 'Greets by name',
        inputs: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
        outputs: { type: 'object' },
        runtime: { language: 'javascript', entrypoint: 'main.js' },
      },
      files: { 'main.js': 'export default ({ name }) => ({ greeting: `Hello ${name}` })' },
    },
  ],
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
      // All header fields together may have 16 KiB, and the request line counts.
      signature: { type: 'string', maxLength: 8_192, description: 'For archives, as in the JSON.' },
    },
  } as const
  const given = async (request: HttpRequest): Promise<NewSkill> => {
    const { body, query, raw } = request
    const { signature, skip_tests, hold } = isJsonObject(body) ? body : query
    const skill = body === undefined ? await services.skills.archives.read(raw) : inline(body)
    return {
      tenant: tenantOf(request),
      by: request.principal?.id ?? '',
      ...skill,
      signature: typeof signature === 'string' ? signature : null,
      skipTests: skip_tests === true,
      hold: hold === true,
    }
  }
  return [
    {
      ...taken,
      path: '/v1/skills',
      idempotency: 'kept',
      summary: 'Registers a version of a skill: JSON with the files inline, or a tar or tar.gz with skill.json in it',
      responses: {
        201: { description: 'It is registered.', schema: REGISTERED },
        200: { description: 'It was there already, just so.', schema: REGISTERED },
      },
      handle: async (request) => {
        const { catalogue } = services.skills
        const skill = await given(request)
        const before = catalogue.find(skill.tenant, nameOf(skill.descriptor))?.versions ?? []
        const { id, version, digest } = await catalogue.register(skill)
        // One of the gateway's own with this id and version is another skill.
        const isNew = !before.some((record) => record.version === version && record.tenant === skill.tenant)
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
        const descriptor = await services.skills.catalogue.validate(await given(request))
        const { id, version } = descriptor
        return { status: 200, body: { valid: true, id, version, ...descriptorDocument(descriptor) } }
      },
    },
  ]
}

const nameOf = (descriptor: JsonValue): string => {
  const id = isJsonObject(descriptor) ? descriptor['id'] : undefined
  return typeof id === 'string' ? id : ''
}

function inline(body: JsonValue): Pick<NewSkill, 'descriptor' | 'files'> {
  const { descriptor = null, files } = isJsonObject(body) ? body : {}
  return { descriptor, files: contents(isJsonObject(files) ? files : {}) }
}

function contents(files: JsonObject): { readonly [path: string]: Uint8Array } {
  const faults: Fault[] = []
  const read = Object.entries(files).map(([path, content]) => {
    if (typeof content === 'string') return [path, Buffer.from(content)] as const
    const { base64 = '' } = isJsonObject(content) ? content : {}
    const isBase64 = typeof base64 === 'string' && BASE64_TEXT.test(base64)
    // Buffer.from would leave out in silence what is no base64.
    if (!isBase64) faults.push({ pointer: `#/files/${pointerToken(path)}/base64`, detail: 'is not base64 (RFC 4648 §4, padded)' })
    return [path, isBase64 ? Buffer.from(base64, 'base64') : Buffer.alloc(0)] as const
  })
  if (faults.length === 0) return Object.fromEntries(read)
  throw new InvalidError('Files of the skill cannot be read; see `errors`.', { code: 'SKILL_INVALID', faults })
}
const BASE64_TEXT = new RegExp(BASE64)
