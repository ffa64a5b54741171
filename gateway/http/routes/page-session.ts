/** The page signs in with the start-up link's code or with a key, and signs out. */
import { DeniedError, isJsonObject } from '#contract'
import type { HttpRequest, JsonObject, Route } from '#contract'
import { SESSION_LIFE_MS } from '../page-session.ts'
import type { Hub } from './hub.ts'

const SIGN_IN: JsonObject = {
  examples: [{ key: 'ock_live_<id>_<secret>' }],
  oneOf: [
    { type: 'object', required: ['code'], properties: { code: { type: 'string', maxLength: 128 } }, additionalProperties: false },
    { type: 'object', required: ['key'], properties: { key: { type: 'string', maxLength: 128 } }, additionalProperties: false },
  ],
}

export function pageSessionRoutes({ pages, credentials }: Hub): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/console/session',
      permission: 'public',
      summary: 'Signs a page in: a code or a key becomes a cookie',
      tag: 'console',
      body: SIGN_IN,
      problems: [401],
      responses: { 204: { description: 'Signed in; the cookie holds 12 hours.' } },
      handle: (request) => {
        const { code, key } = isJsonObject(request.body) ? request.body : {}
        const value = typeof code === 'string' ? pages.openByCode(code) : typeof key === 'string' ? pages.openByKey(key) : null
        if (value !== null)
          return { status: 204, headers: { 'set-cookie': cookie(request, pages.cookieName, value, SESSION_LIFE_MS / 1_000) } }
        throw new DeniedError(
          typeof code === 'string'
            ? 'The code is unknown, used or more than an hour old. Start the gateway again for a new link, or sign in with a key.'
            : 'The key is not valid.',
          { code: 'SIGN_IN_REFUSED', reason: 'unauthenticated' },
        )
      },
    },
    {
      method: 'DELETE',
      path: '/v1/console/session',
      permission: 'public',
      summary: 'Signs the page out',
      tag: 'console',
      responses: { 204: { description: 'Signed out.' } },
      handle: async (request) => {
        const prefix = `${pages.cookieName}=`
        const own = request.headers['cookie']?.split(/; */).find((pair) => pair.startsWith(prefix))
        const left = own === undefined ? null : pages.leave(own.slice(prefix.length))
        if (left !== null) {
          credentials.end(left.id)
          await left.kept
        }
        return { status: 204, headers: { 'set-cookie': cookie(request, pages.cookieName, '', 0) } }
      },
    },
  ]
}

/** RFC 6265. Behind TLS the page's origin is https, and the cookie then never travels without. */
function cookie({ headers }: HttpRequest, name: string, value: string, seconds: number): string {
  const isTls = headers['origin']?.startsWith('https:') === true
  return `${name}=${value}; Max-Age=${seconds}; Path=/; HttpOnly; SameSite=Strict${isTls ? '; Secure' : ''}`
}
