import assert from 'node:assert/strict'
import { access, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { bench } from './cli.ts'

const BOUND = { timeout: 60_000 }

test('start runs the gateway, chat and status find it, and a signal drains it', BOUND, async (t) => {
  const { dir, run, spawn } = await bench(t)
  await rm(join(dir, '.openclaw'), { recursive: true })
  await writeFile(join(dir, 'openclaw.yaml'), 'server: {port: 0, metrics_port: 0}\nagents: {parrot: {model: builtin/echo}}\n')
  const gateway = spawn(['start'])
  const ready = Promise.withResolvers<void>()
  gateway.stdout.on('data', (text: string) => text.includes('chat ') && ready.resolve())
  await Promise.race([ready.promise, gateway.done.then(({ err }) => assert.fail(err))])

  const talk = await run(['chat'], { stdin: 'over the wall\n/status\n' })
  assert.equal(talk.code, 0, talk.err)
  assert.match(talk.out, /over the wall\n[\s\S]*parrot/)
  const status = await run(['status', '--json'])
  assert.partialDeepStrictEqual(JSON.parse(status.out), { ready: true, pid: gateway.pid ?? 0, agents: [{ name: 'parrot' }] })
  assert.match((await run(['messages', 'send', 'and by HTTP', '--wait'])).out, /and by HTTP\n$/)
  const key = await run(['keys', 'create', 'reader', '--scope', 'agents:read'])
  const env = { OPENCLAW_TOKEN: key.out.trim() }
  assert.equal((await run(['agents'], { env })).code, 0)
  assert.equal((await run(['messages'], { env })).code, 4)
  assert.equal((await run(['chat'], { env, stdin: 'x\n' })).code, 4)

  gateway.kill('SIGTERM')
  assert.equal((await gateway.done).code, 0)
  await assert.rejects(access(join(dir, '.openclaw', 'gateway.json')))
  assert.equal((await run(['status'])).code, 3)
})

test('start tells every fault of the configuration and ends', BOUND, async (t) => {
  const { dir, run } = await bench(t)
  await writeFile(join(dir, 'openclaw.yaml'), 'server: {prot: 1}\nlog: {level: loud}\n')
  const { code, err } = await run(['start'])
  assert.equal(code, 1)
  assert.match(err, /2 faults\.\n {2}openclaw\.yaml:1:10 server\.prot: unknown key.*\n {2}openclaw\.yaml:2:14 log\.level/)
})
