/** A part of the configuration that the API can replace while the gateway runs: shown, put in place of what `openclaw.yaml` says, and taken back. */
import { isJsonObject, isoTime } from '#contract'
import type { ConfigDesk, ConfigPart, HttpReply, JsonObject, Route } from '#contract'
import { CHANGE_PROBLEMS, checkMatch, tagged, withdrawn } from '../conditional.ts'
import { operatorOf } from './caller.ts'

export interface PartRoutes {
  readonly path: string
  readonly part: ConfigPart
  readonly config: ConfigDesk
  readonly summaries: { readonly show: string; readonly put: string; readonly withdraw: string }
  readonly shown: { readonly description: string; readonly schema: JsonObject }
  readonly body: JsonObject
  /** Of the body, if it may have more than others. */
  readonly maxMembers?: number
}

export function partRoutes({ path, part, config, summaries, shown, body, maxMembers }: PartRoutes): readonly Route[] {
  const show = (): HttpReply => {
    const { value, changed } = config.read(part) ?? { value: {}, changed: null }
    return tagged(value, { ...value, changed_by: changed?.by ?? null, changed_at: isoTime(changed?.at ?? null) })
  }
  const change = { path, permission: 'config:write', isForOperator: true, tag: 'config' } as const
  return [
    {
      method: 'GET',
      path,
      permission: 'config:read',
      isForOperator: true,
      summary: summaries.show,
      tag: 'config',
      responses: { 200: shown },
      handle: (request) => {
        operatorOf(request)
        return show()
      },
    },
    {
      ...change,
      method: 'PUT',
      summary: summaries.put,
      body,
      ...(maxMembers === undefined ? {} : { maxMembers }),
      responses: { ...CHANGE_PROBLEMS, 200: shown },
      handle: async (request) => {
        const { id } = operatorOf(request)
        const value = isJsonObject(request.body) ? request.body : {}
        await config.change(part, { value, by: id, check: (now) => checkMatch(request, now?.value ?? null) })
        return show()
      },
    },
    {
      ...change,
      method: 'DELETE',
      summary: summaries.withdraw,
      responses: { ...CHANGE_PROBLEMS, 204: { description: 'They are.' } },
      handle: async (request) => {
        const { id } = operatorOf(request)
        await config.change(part, { value: null, by: id, check: (now) => checkMatch(request, now?.value ?? null) })
        return withdrawn(config.read(part)?.value ?? null)
      },
    },
  ]
}
