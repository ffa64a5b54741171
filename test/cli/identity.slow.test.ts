/** Keys, roles, revocations and whoami by the command, against the real gateway. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { bench } from './cli.ts'
import type { Bench } from './cli.ts'

const BOUND = { timeout: 180_000 }

async function started(t: TestContext, config: string): Promise<Bench['run'] & { readonly dir: string }> {
  const { dir, run, spawn } = await bench(t)
  await rm(join(dir, '.openclaw'), { recursive: true })
  await writeFile(join(dir, 'openclaw.yaml'), `server: {port: 0, metrics_port: 0}\n${config}`)
  const gateway = spawn(['start'])
  const ready = Promise.withResolvers<void>()
  gateway.stdout.on('data', (text: string) => text.includes('chat ') && ready.resolve())
  await Promise.race([ready.promise, gateway.done.then(({ err }) => assert.fail(err))])
  t.after(async () => {
    gateway.kill('SIGTERM')
    await gateway.done
  })
  return Object.assign(run, { dir })
}

test('a role is made and given to a key, the key rotated, shown, revoked; whoami says what each time', BOUND, async (t) => {
  const run = await started(t, '')
  assert.match(
    (await run(['whoami'])).out,
    /^principal +admin\ntenant +default\nproven by +key key-\w+\nroles +-\nmay +\*\nuntil +it is revoked\n$/,
  )
  assert.equal((await run(['roles', 'create', 'helper', '--permission', 'channels:read,sessions:read'])).code, 0)
  const list = await run(['roles'])
  assert.match(list.out, /^helper +api +channels:read sessions:read$/m)
  assert.match(list.out, /^viewer +builtin +agents:read logs:read$/m)
  const made = await run(['keys', 'create', 'bot', '--role', 'helper', '--scope', 'agents:read', '--json'])
  const { id, secret } = JSON.parse(made.out) as { readonly id: string; readonly secret: string }
  const as = (token: string) => run(['whoami'], { env: { OPENCLAW_TOKEN: token } })
  assert.match((await as(secret)).out, /^roles +helper\nmay +agents:read channels:read sessions:read$/m)

  const rotated = await run(['keys', 'rotate', id, '--grace', '1h'])
  assert.match(rotated.err, /The secret before counts until/)
  for (const each of [secret, rotated.out.trim()]) assert.equal((await as(each)).code, 0)
  const again = await run(['keys', 'rotate', id])
  for (const each of [secret, rotated.out.trim()]) assert.equal((await as(each)).code, 4)
  assert.equal((await as(again.out.trim())).code, 0)
  assert.match((await run(['keys', 'show', id])).out, /^roles +helper$/m)
  assert.match((await run(['keys'])).out, new RegExp(`^${id} +bot +valid +\\S+ +helper`, 'm'))
  assert.equal((await run(['roles', 'change', 'helper', '--permission', 'logs:read'])).code, 0)
  assert.match((await as(again.out.trim())).out, /^may +agents:read logs:read$/m)
  assert.equal((await run(['roles', 'remove', 'helper'])).code, 0)
  assert.match((await as(again.out.trim())).out, /^may +agents:read$/m)
  assert.equal((await run(['keys', 'revoke', id])).code, 0)
  assert.equal((await as(again.out.trim())).code, 4)
})

test('a generated key works when its digest stands in the file; tokens are called back for issuers there are', BOUND, async (t) => {
  const { run: offline } = await bench(t)
  const generated = await offline(['keys', 'generate'])
  const digest = /sha256: ([0-9a-f]{64})/.exec(generated.err)?.[1] ?? assert.fail(generated.err)
  const config = `keys: [{name: ci, sha256: ${digest}, roles: [viewer]}]\nauth: {issuers: [{issuer: "https://id.example", audience: a}]}\n`
  const run = await started(t, config)
  assert.match((await run(['whoami'], { env: { OPENCLAW_TOKEN: generated.out.trim() } })).out, /^principal +ci\n[^]*^roles +viewer$/m)
  assert.match((await run(['keys'])).out, /^config:ci +ci +in file/m)
  assert.match((await run(['keys', 'revoke', 'config:ci'])).err, /stands in openclaw\.yaml/)
  assert.equal((await run(['revocations', 'subject', 'https://id.example', 'alice'])).code, 0)
  assert.equal((await run(['revocations', 'token', 'https://id.example', 't1'])).code, 0)
  assert.match((await run(['revocations', 'token', 'https://other.example', 't1'])).err, /No issuer of this name/)
  assert.match((await run(['revocations'])).out, /admin +https:\/\/id\.example +t1 +-\n.*all +alice/)
})
