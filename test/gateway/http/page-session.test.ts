import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { InvalidError } from '#contract'
import type { JsonObject } from '#contract'
import { PageSessions } from '../../../gateway/http/page-session.ts'
import { Signer } from '../../../gateway/http/signer.ts'
import { Hub, problem, serverOf, startServer, type Started } from './double.ts'

const CSRF = { 'x-openclaw-csrf': '1' }

/** Signs in as the test's own key, by a code; answers the cookie. */
async function signIn({ hub, server, call, url }: Started): Promise<string> {
  const admin = hub.keyRecords[0]
  assert.ok(admin)
  const response = await call('/v1/console/session', {
    method: 'POST',
    headers: { authorization: 'none', origin: url },
    json: { code: server.issueCode(admin.id) },
  })
  assert.equal(response.status, 204)
  const set = response.headers.get('set-cookie') ?? ''
  assert.match(set, new RegExp(`^openclaw_${new URL(url).port}=[\\w.-]+; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict$`))
  return set.split(';', 1)[0] ?? ''
}

const asPage = (cookie: string, more: { readonly [name: string]: string } = {}) => ({ authorization: 'none', cookie, ...more })

test('a code signs one page in, once, and the page is who the key is', async (t) => {
  const started = await startServer(t)
  const { hub, server, call } = started
  const cookie = await signIn(started)
  const { principal, scopes, proven_by } = (await (await call('/v1/whoami', { headers: asPage(cookie) })).json()) as JsonObject
  assert.deepEqual({ principal, scopes, proven_by }, { principal: 'tester', scopes: ['*'], proven_by: 'page' })
  await problem(await call('/v1/whoami', { headers: { authorization: 'none' } }), 401)

  const admin = hub.keyRecords[0]
  assert.ok(admin)
  const code = server.issueCode(admin.id)
  const enter = () => call('/v1/console/session', { method: 'POST', headers: { authorization: 'none' }, json: { code } })
  assert.equal((await enter()).status, 204)
  assert.equal((await problem(await enter(), 401))['code'], 'SIGN_IN_REFUSED')
})

test('a code of more than an hour ago is refused', async (t) => {
  const { hub, server, call } = await startServer(t)
  const admin = hub.keyRecords[0]
  assert.ok(admin)
  const code = server.issueCode(admin.id)
  hub.clock.advance(3_600_000)
  await problem(await call('/v1/console/session', { method: 'POST', headers: { authorization: 'none' }, json: { code } }), 401)
})

test('only so many codes are open at once', async (t) => {
  const { hub, server, call } = await startServer(t)
  const admin = hub.keyRecords[0]
  assert.ok(admin)
  const first = server.issueCode(admin.id)
  for (let i = 0; i < 64; i++) server.issueCode(admin.id)
  await problem(await call('/v1/console/session', { method: 'POST', headers: { authorization: 'none' }, json: { code: first } }), 401)
})

test('a key signs a page in too; a wrong one, both or none do not', async (t) => {
  const { call, key } = await startServer(t)
  const enter = (json: unknown) => call('/v1/console/session', { method: 'POST', headers: { authorization: 'none' }, json })
  assert.equal((await enter({ key })).status, 204)
  await problem(await enter({ key: `${key.slice(0, -1)}!` }), 401)
  await problem(await enter({ key, code: 'x' }), 422)
  await problem(await enter({}), 422)
})

test('behind TLS the cookie is Secure', async (t) => {
  const { call, key, url } = await startServer(t)
  const response = await call('/v1/console/session', {
    method: 'POST',
    headers: { authorization: 'none', origin: url.replace('http:', 'https:') },
    json: { key },
  })
  assert.match(response.headers.get('set-cookie') ?? '', /; Secure$/)
})

test('changing something by cookie needs the page’s own origin and the header no form can send', async (t) => {
  const started = await startServer(t)
  const { call, url, hub } = started
  const cookie = await signIn(started)
  const send = (more: { readonly [name: string]: string }) =>
    call('/v1/messages', { method: 'POST', headers: asPage(cookie, more), json: {} })
  assert.equal((await send({ ...CSRF, origin: url })).status, 202)
  assert.equal((await send({ ...CSRF, 'sec-fetch-site': 'same-origin' })).status, 202)
  for (const headers of [
    {},
    { origin: url },
    CSRF,
    { ...CSRF, origin: 'null' },
    { ...CSRF, origin: 'http://localhost:1' },
    { 'x-openclaw-csrf': '0', origin: url },
  ]) {
    assert.equal(
      (await problem(await send(headers), 403))['type'],
      'https://openclaw.dev/problems/forbidden-origin',
      JSON.stringify(headers),
    )
  }
  assert.ok(hub.metrics.value('openclaw_auth_failures_total forgery') > 0)
  assert.ok(hub.metrics.value('openclaw_auth_failures_total origin') > 0)
})

test('a cookie on a request of another site or another port of this host is no credential', async (t) => {
  const started = await startServer(t)
  const cookie = await signIn(started)
  for (const site of ['same-site', 'cross-site']) {
    await problem(await started.call('/v1/channels', { headers: asPage(cookie, { 'sec-fetch-site': site }) }), 401)
  }
})

test('a cookie that was changed proves nothing', async (t) => {
  const started = await startServer(t)
  const cookie = await signIn(started)
  const [name = '', value = ''] = cookie.split('=')
  const [body = '', mac = ''] = value.split('.')
  const session = JSON.parse(Buffer.from(body, 'base64url').toString()) as { expiresAt: number }
  const longer = Buffer.from(JSON.stringify({ ...session, expiresAt: session.expiresAt + 1 })).toString('base64url')
  for (const forged of [`${longer}.${mac}`, `${body}.`, body, `${body}.${'A'.repeat(43)}`, '', '.', `${body}.${mac}x`]) {
    await problem(await started.call('/v1/channels', { headers: asPage(`${name}=${forged}`) }), 401)
  }
})

test('a session ends after 12 hours', async (t) => {
  const started = await startServer(t)
  const cookie = await signIn(started)
  started.hub.clock.advance(12 * 3_600_000 - 1)
  assert.equal((await started.call('/v1/channels', { headers: asPage(cookie) })).status, 200)
  started.hub.clock.advance(1)
  await problem(await started.call('/v1/channels', { headers: asPage(cookie) }), 401)
})

test('signing out ends the session on the server too', async (t) => {
  const started = await startServer(t)
  const { call } = started
  const cookie = await signIn(started)
  assert.equal((await call('/v1/channels', { headers: asPage(cookie) })).status, 200)
  const left = await call('/v1/console/session', { method: 'DELETE', headers: asPage(cookie) })
  assert.equal(left.status, 204)
  assert.match(left.headers.get('set-cookie') ?? '', /^openclaw_\d+=; Max-Age=0;/)
  await problem(await call('/v1/channels', { headers: asPage(cookie) }), 401)
  assert.equal((await call('/v1/console/session', { method: 'DELETE', headers: { authorization: 'none' } })).status, 204)
})

test('a session that was left stays left, however many are left after it', async () => {
  const hub = new Hub()
  const { secret } = await hub.keys.create({ tenant: 'default', name: 'a', scopes: ['*'], expiresAt: null })
  const key = createSecretKey(Buffer.alloc(32))
  const parts = {
    port: 1,
    keys: hub.keys,
    signer: new Signer(key, 'page session'),
    clock: hub.clock,
    store: hub.services.store.revocations,
  }
  const pages = new PageSessions({ ...parts, left: [] })
  const open = (): string => pages.openByKey(secret) ?? assert.fail()
  const stolen = open()
  await pages.leave(stolen)?.kept
  hub.clock.advance(1_000)
  const later = new PageSessions({ ...parts, left: [...hub.left] })
  assert.equal(later.verify(stolen), 'revoked', 'nor after a restart')
  for (let i = 0; i < 10_001; i++) pages.leave(open())
  assert.equal(pages.verify(stolen), 'revoked')
  hub.clock.advance(1_000)
  assert.equal(typeof pages.verify(open()), 'object', 'a new one holds')
})

test('revoking the key ends the sessions it opened', async (t) => {
  const started = await startServer(t)
  const { call, keyFor } = started
  const { id, secret } = await keyFor(['channels:read'])
  const opened = await call('/v1/console/session', { method: 'POST', headers: { authorization: 'none' }, json: { key: secret } })
  const cookie = opened.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
  assert.equal((await call('/v1/channels', { headers: asPage(cookie) })).status, 200)
  await call(`/v1/keys/${id}`, { method: 'DELETE' })
  await problem(await call('/v1/channels', { headers: asPage(cookie) }), 401)
})

test('a session survives a restart on the same port, and the secret is its owner’s alone', async (t) => {
  const first = await startServer(t)
  const cookie = await signIn(first)
  const file = join(first.dir, 'secret')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await first.server.stop()
  const { hub, dir } = first
  const second = await startServer(t, { hub, stateDir: dir, port: Number(new URL(first.url).port) })
  assert.equal((await second.call('/v1/channels', { headers: asPage(cookie) })).status, 200)
})

test('a damaged secret stops the start with a word on what to do', async (t) => {
  const { dir, hub, server } = await startServer(t)
  await server.stop()
  assert.ok((await readFile(join(dir, 'secret'), 'utf8')).length > 40)
  await writeFile(join(dir, 'secret'), 'short')
  const broken = serverOf({ hub, dir })
  await assert.rejects(broken.start(), (error) => error instanceof InvalidError && error.code === 'SECRET_DAMAGED')
})
