/** What operators do with registered skills: switch versions on and off, roll majors out and back, take them away. */
import { isJsonObject } from '#contract'
import type { HttpReply, HttpRequest, JsonObject, Route, SkillCatalogue } from '#contract'
import { tenantOf } from './caller.ts'
import type { Hub } from './hub.ts'
import { TEXT_OR_NULL } from './schema.ts'
import { TRACK, VERSION, trackDocument, versionDocument, weightOf } from './skill-document.ts'
import { idOf, recordOf, versionOf, viewOf } from './skills.ts'

const NOTE: JsonObject = {
  type: 'object',
  additionalProperties: false,
  properties: { note: { ...TEXT_OR_NULL, maxLength: 1_000, description: 'What to use instead, and why; null: it is deprecated no more.' } },
  examples: [{ note: 'Use 2.0.0, which reads tables too.' }],
}
const CANARY: JsonObject = {
  type: 'object',
  required: ['version', 'weight'],
  additionalProperties: false,
  properties: {
    version: { type: 'string', minLength: 1, maxLength: 100 },
    weight: { type: 'number', minimum: 0, maximum: 1, description: "Part of the major's calls; 0 ends the canary." },
  },
  examples: [{ version: '1.1.0', weight: 0.05 }],
}
const MAJOR: JsonObject = {
  type: 'object',
  required: ['major'],
  additionalProperties: false,
  properties: { major: { type: 'integer', minimum: 0, maximum: 1_000_000 } },
  examples: [{ major: 1 }],
}

export function skillRolloutRoutes({ services }: Hub): readonly Route[] {
  const write = { tag: 'skills', permission: 'skills:write' } as const
  const catalogue = (): SkillCatalogue => services.skills.catalogue
  const skill = (request: HttpRequest) => [tenantOf(request), idOf(request)] as const
  const version = (request: HttpRequest) => [...skill(request), versionOf(request)] as const
  const shown = (request: HttpRequest): HttpReply => ({
    status: 200,
    body: versionDocument(recordOf(viewOf(catalogue().find(...skill(request))), request)),
  })
  const switching = (verb: 'enable' | 'disable', summary: string): Route => ({
    ...write,
    method: 'POST',
    path: `/v1/skills/{id}/versions/{version}/${verb}`,
    summary,
    idempotency: 'kept',
    responses: { 200: { description: 'The version as it is now.', schema: VERSION } },
    handle: async (request) => {
      await catalogue().setEnabled(...version(request), verb === 'enable')
      return shown(request)
    },
  })
  return [
    switching('enable', 'Lets a version be called again'),
    switching('disable', 'Lets a version be called no more'),
    {
      ...write,
      method: 'POST',
      path: '/v1/skills/{id}/versions/{version}/deprecate',
      summary: 'Says what to use instead of a version; it can be called nevertheless',
      body: NOTE,
      idempotency: 'kept',
      responses: { 200: { description: 'The version as it is now.', schema: VERSION } },
      handle: async (request) => {
        const note = isJsonObject(request.body) ? request.body['note'] : undefined
        await catalogue().deprecate(...version(request), typeof note === 'string' ? note : note === null ? null : 'deprecated')
        return shown(request)
      },
    },
    {
      ...write,
      method: 'POST',
      path: '/v1/skills/{id}/versions/{version}/promote',
      summary: "Makes a version its major's stable one",
      idempotency: 'kept',
      responses: { 200: { description: 'The track of the major.', schema: TRACK } },
      handle: async (request) => ({ status: 200, body: trackDocument(await catalogue().promote(...version(request))) }),
    },
    {
      ...write,
      method: 'PUT',
      path: '/v1/skills/{id}/canary',
      summary: "Gives a part of a major's calls to a newer version",
      body: CANARY,
      responses: { 200: { description: 'The track of the major.', schema: TRACK } },
      handle: async (request) => {
        const { version: given, weight } = isJsonObject(request.body) ? request.body : {}
        const track = await catalogue().canary(
          ...skill(request),
          typeof given === 'string' ? given : '',
          weightOf(typeof weight === 'number' ? weight : 0),
        )
        return { status: 200, body: trackDocument(track) }
      },
    },
    {
      ...write,
      method: 'POST',
      path: '/v1/skills/{id}/rollback',
      summary: 'Ends the canary of a major, or goes back to the stable version before',
      body: MAJOR,
      idempotency: 'kept',
      responses: { 200: { description: 'The track of the major.', schema: TRACK } },
      handle: async (request) => {
        const { major } = isJsonObject(request.body) ? request.body : {}
        return { status: 200, body: trackDocument(await catalogue().rollback(...skill(request), typeof major === 'number' ? major : -1)) }
      },
    },
    {
      ...write,
      method: 'DELETE',
      path: '/v1/skills/{id}',
      summary: 'Removes a skill with all its versions',
      responses: { 204: { description: 'It is gone.' } },
      handle: async (request) => {
        await catalogue().remove(...skill(request), null)
        return { status: 204 }
      },
    },
    {
      ...write,
      method: 'DELETE',
      path: '/v1/skills/{id}/versions/{version}',
      summary: 'Removes a version that is neither stable nor canary',
      responses: { 204: { description: 'It is gone.' } },
      handle: async (request) => {
        await catalogue().remove(...version(request))
        return { status: 204 }
      },
    },
  ]
}
