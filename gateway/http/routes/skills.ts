/** Skills as clients find them: listed by id, version and description, shown with their schemas, handed out as an archive. */
import { NotFoundError, isOperator } from '#contract'
import type { HttpRequest, JsonObject, Route, SandboxReport, SkillRecord, SkillView } from '#contract'
import { PAGING } from '../cursor.ts'
import { principalOf, tenantOf } from './caller.ts'
import type { Hub } from './hub.ts'
import { objectOf, pageOf } from './schema.ts'
import { SANDBOX, SKILL, VERSION, WHOLE_VERSION, sandboxDocument, skillDocument, versionDocument } from './skill-document.ts'

interface Row {
  readonly skill: SkillView
  readonly match: string | null
}

export function skillRoutes({ services, cursors }: Hub): readonly Route[] {
  const catalogueOf = () => services.skills.catalogue
  const view = (request: HttpRequest): SkillView => viewOf(services.skills.catalogue.find(tenantOf(request), idOf(request)))
  const read = { tag: 'skills', permission: 'skills:read', method: 'GET' } as const
  return [
    {
      ...read,
      path: '/v1/skills',
      summary: 'Skills by id, found by version and by words of id and description',
      query: {
        id: { type: 'string', maxLength: 64 },
        version: { type: 'string', minLength: 1, maxLength: 100, description: 'A version, a major (`1`) or a range (`^1.2`).' },
        q: { type: 'string', maxLength: 200, description: 'Words that all occur in id or description.' },
        ...PAGING,
      },
      responses: { 200: { description: 'A page of them.', schema: pageOf(SKILL) } },
      handle: async (request) => {
        const found = matching(request, services.skills.catalogue.list(tenantOf(request)))
        const rows = found.flatMap((skill): readonly Row[] => {
          const { version } = request.query
          if (typeof version !== 'string') return [{ skill, match: null }]
          const match = catalogueOf().resolve(tenantOf(request), skill.id, version)
          return match === null ? [] : [{ skill, match: match.version }]
        })
        const body = await cursors.page({
          request,
          list: 'skills',
          // The list is in memory: a row's number is its place in it. Who registers meanwhile may shift a page by one.
          read: async (before, limit) => rows.slice(before ?? 0, (before ?? 0) + limit),
          seqOf: (row) => rows.indexOf(row) + 1,
          show: ({ skill, match }) => skillDocument(skill, match),
        })
        return { status: 200, body }
      },
    },
    {
      ...read,
      path: '/v1/skills/runtime',
      summary: 'What skills run in here, what that isolates and what it does not',
      responses: { 200: { description: 'Every kind of sandbox.', schema: objectOf({ data: { type: 'array', items: SANDBOX } }) } },
      handle: async (request) => {
        // What is parked, leased and busy is so for all tenants.
        const shown = (report: SandboxReport): SandboxReport => (isOperator(principalOf(request)) ? report : { ...report, facts: {} })
        return { status: 200, body: { data: (await services.skills.runtime()).map((report) => sandboxDocument(shown(report))) } }
      },
    },
    {
      ...read,
      path: '/v1/skills/{id}',
      summary: 'One skill: its schemas, versions, and how each major is rolled out',
      responses: { 200: { description: 'The skill.', schema: SKILL } },
      handle: (request) => ({ status: 200, body: skillDocument(view(request)) }),
    },
    {
      ...read,
      path: '/v1/skills/{id}/versions',
      summary: 'All versions of a skill, newest first',
      query: PAGING,
      responses: { 200: { description: 'A page of them.', schema: pageOf(VERSION) } },
      handle: async (request) => ({
        status: 200,
        body: await cursors.whole({ request, list: 'skill versions', rows: view(request).versions, show: versionDocument }),
      }),
    },
    {
      ...read,
      path: '/v1/skills/{id}/versions/{version}',
      summary: 'One version, with its descriptor and the names of its files',
      responses: { 200: { description: 'The version.', schema: WHOLE_VERSION } },
      handle: async (request) => {
        const record = recordOf(view(request), request)
        const files = await catalogueOf().files(record.tenant, record.id, record.version)
        return { status: 200, body: { ...versionDocument(record), descriptor: record.descriptor, files: filesDocument(files) } }
      },
    },
    {
      ...read,
      path: '/v1/skills/{id}/versions/{version}/archive',
      summary: 'Descriptor and files of one version as a tar.gz that can be registered again',
      responses: { 200: { description: 'The archive.', contentType: 'application/gzip' } },
      handle: async (request) => {
        const record = recordOf(view(request), request)
        const files = await catalogueOf().files(record.tenant, record.id, record.version)
        const bytes = await services.skills.archives.write(record.descriptor, files)
        const name = `${record.id}-${record.version}.tar.gz`
        return {
          status: 200,
          headers: { 'content-disposition': `attachment; filename="${name}"`, etag: `"${record.digest}"` },
          bytes,
          contentType: 'application/gzip',
        }
      },
    },
  ]
}

export const idOf = ({ params }: HttpRequest): string => params['id'] ?? ''
export const versionOf = ({ params }: HttpRequest): string => params['version'] ?? ''

export function viewOf(view: SkillView | null): SkillView {
  if (view !== null) return view
  throw new NotFoundError('There is no skill with this id. GET /v1/skills lists those there are.', { code: 'SKILL_NOT_FOUND' })
}

/** Of the path, where a version is meant exactly. */
export function recordOf({ versions }: SkillView, request: HttpRequest): SkillRecord {
  const record = versions.find(({ version }) => version === versionOf(request))
  if (record !== undefined) return record
  throw new NotFoundError('The skill has no such version. GET /v1/skills/{id}/versions lists those there are.', { code: 'SKILL_NOT_FOUND' })
}

function matching({ query }: HttpRequest, views: readonly SkillView[]): readonly SkillView[] {
  const { id, q } = query
  const words =
    typeof q === 'string'
      ? q
          .toLowerCase()
          .split(/\s+/)
          .filter((word) => word !== '')
      : []
  return views
    .filter((view) => id === undefined || view.id === id)
    .filter((view) => {
      const text = `${view.id} ${descriptionOf(view)}`.toLowerCase()
      return words.every((word) => text.includes(word))
    })
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** Also of a skill that is disabled altogether. */
function descriptionOf({ current, versions }: SkillView): string {
  const written = current?.description ?? versions[0]?.descriptor['description']
  return typeof written === 'string' ? written : ''
}

const filesDocument = (files: { readonly [path: string]: Uint8Array }): readonly JsonObject[] =>
  Object.entries(files).map(([path, content]) => ({ path, bytes: content.byteLength }))
