/**
 * Secrets go in by every source; a gateway works with them, and then fails with them at everything it talks to, whose answers repeat them. Afterwards they
 * are nowhere: not in the store, the log, the answers of any route, the metrics, or what commands print.
 */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { secretForms } from '#contract'
import type { JsonObject } from '#contract'
import { newKeyText, parseKey, seal } from '../../gateway/secrets/sealed.ts'
import { FakeOpenAI } from '../fakes/openai.ts'
import { FakeTelegram } from '../fakes/telegram.ts'
import { FakeVault } from '../fakes/vault.ts'
import { startChild } from '../support/child.ts'
import { answerTo, ended, post, say } from '../support/conversation.ts'
import { spawnGateway, startGateway, temporaryFolder } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { eventually } from '../support/eventually.ts'

const CANARIES = {
  vault: 'canary+vault/KEY-4711',
  environment: 'canary-environment-4712',
  file: '424242:AAcanary-file-4713-of_the_telegram_bot',
  sealed: 'canary "sealed" 4714',
  role: 'canary-secret-id-4715',
}
const CLI = join(import.meta.dirname, '..', '..', 'cli', 'openclaw.ts')

test('a secret of any source is nowhere after a gateway worked with it and failed with it', { timeout: 120_000 }, async (context) => {
  const model = new FakeOpenAI()
  const baseUrl = await model.start()
  context.after(() => model.stop())
  const telegram = new FakeTelegram({ token: CANARIES.file, botId: 424_242 })
  const root = await telegram.start()
  context.after(() => telegram.stop())
  const vault = new FakeVault()
  const address = await vault.start()
  context.after(() => vault.stop())
  vault.roles.set('gateway', CANARIES.role)
  vault.put('app', { model_key: CANARIES.vault })

  const dir = temporaryFolder(context)
  const keyText = newKeyText()
  const key = parseKey(keyText)
  assert.ok(key !== null)
  writeFileSync(join(dir, '.env.enc'), `WORD=${seal(key, 'WORD', CANARIES.sealed)}\n`)
  writeFileSync(join(dir, 'bot'), CANARIES.file, { mode: 0o600 })
  const config = {
    secrets: {
      backend: 'vault',
      vault_addr: address,
      vault_auth: { method: 'approle', role_id: 'gateway', secret_id: '${ROLE_SECRET_ID}' },
    },
    llm: {
      providers: {
        fake: { api: 'chat', base_url: baseUrl, api_key: '${vault:secret/app#model_key}', headers: { 'X-Extra': 'Extra ${EXTRA_TOKEN}' } },
      },
      defaults: { primary: 'fake/m', max_retries: 0 },
    },
    channels: { telegram: { token: '${file:./bot}', api_root: root, access: 'open' } },
    skills: { entries: { leaky: { secrets: { WORD: '${WORD}' } } } },
    log: { level: 'debug' },
  }
  const env = { OPENCLAW_ENV_KEY: keyText, ROLE_SECRET_ID: CANARIES.role, EXTRA_TOKEN: CANARIES.environment }
  const gateway = await startGateway(context, { dir, config, env })

  // It works with each of them.
  assert.equal(await answerTo(gateway, 'marker-of-the-message'), 're: marker-of-the-message')
  assert.deepEqual(
    [model.requests[0]?.headers.authorization, model.requests[0]?.headers['x-extra']],
    [`Bearer ${CANARIES.vault}`, `Extra ${CANARIES.environment}`],
  )
  const shape = { inputs: { type: 'object' }, outputs: { type: 'object' } }
  const descriptor = {
    id: 'leaky',
    version: '1.0.0',
    ...shape,
    effect: 'none',
    secrets: ['WORD'],
    runtime: { language: 'javascript', entrypoint: 'main.js' },
  }
  const code =
    'export const run = (input, ctx) => { if (input.fail) throw new Error("bad " + ctx.secrets.WORD); return { letters: ctx.secrets.WORD.length, word: ctx.secrets.WORD } }'
  assert.equal((await post(gateway, '/v1/skills', { descriptor, files: { 'main.js': code } })).status, 201)
  const worked = (await (await post(gateway, '/v1/skills/leaky/invoke', {})).json()) as JsonObject
  assert.deepEqual(worked['output'], { letters: CANARIES.sealed.length, word: '[secret]' })
  telegram.say({ from: 7, text: 'hello' })
  await deliveries(gateway, 'sent')

  const prints = (): Promise<readonly string[]> =>
    Promise.all(
      [['config', 'print'], ['config', 'print', '--json'], ['secrets', 'check'], ['doctor']].map((args) => openclaw(args, dir, env)),
    )
  const printed = [...(await prints())]
  assert.match(printed[0] ?? '', /api_key: "\*\*\*"/)

  // And fails with each of them; the others' answers repeat what they were given.
  const echo = `denied to ${Object.values(CANARIES).join(' and ')}`
  telegram.fail('sendMessage', { do: 'refuse', code: 400, description: `Bad Request: ${echo}` })
  telegram.say({ from: 7, text: 'again' })
  await deliveries(gateway, 'dead')
  model.when(/fail/, { do: 'status', status: 401, body: { error: { message: echo, type: echo, code: echo } } })
  const dead = await ended(gateway, await say(gateway, 'fail with the model'))
  assert.equal(dead.status, 'dead')
  const failed = await post(gateway, '/v1/skills/leaky/invoke', { input: { fail: true } })
  assert.equal(failed.status, 502)
  const answers = [JSON.stringify(dead), await failed.text()]
  vault.revokeTokens()
  vault.roles.clear()
  gateway.signal('SIGHUP')
  await gateway.told(/The edited configuration is faulty/, 20_000)
  telegram.isTokenRevoked = true

  for (const [path, text] of await everything(gateway)) answers.push(`${path}\n${text}`)
  printed.push(...(await prints()))
  await gateway.stop()
  const files = ['sessions.db', 'sessions.db-wal', ...readdirSync(join(dir, '.openclaw')).map((name) => join('.openclaw', name))].flatMap(
    (name) => {
      try {
        return [[name, readFileSync(join(dir, name)).toString('latin1')] as const]
      } catch {
        return []
      }
    },
  )
  assert.ok(
    files.some(([, text]) => text.includes('marker-of-the-message')),
    'what is stored is seen',
  )
  assert.ok(
    answers.some((text) => text.includes('marker-of-the-message')),
    'what is answered is seen',
  )

  // A start that fails at Vault.
  const { child } = spawnGateway(context, { dir, env })
  assert.notEqual((await child.ended).code, 0)
  assert.match(child.output(), /llm\.providers\.fake\.api_key: secret\/app cannot be had from Vault/)

  const places = [
    ...files,
    ['the log', gateway.output()],
    ['a start in vain', child.output()],
    ...answers.map((text) => ['an answer', text] as const),
    ...printed.map((text) => ['a command', text] as const),
  ] as const
  for (const [source, canary] of Object.entries(CANARIES)) {
    for (const form of [canary, Buffer.from(canary).toString('latin1'), ...secretForms(canary)]) {
      for (const [place, text] of places)
        assert.ok(!text.includes(form), `the secret of ${source} stands in ${place}: ${around(text, form)}`)
    }
  }
  assert.ok(!gateway.output().includes(keyText))
})

/** Until a part to Telegram has come to this end. */
async function deliveries(gateway: GatewayProcess, status: 'sent' | 'dead'): Promise<void> {
  const wanted = new RegExp(`openclaw_messages_total\\{channel="telegram",direction="out",status="${status}"\\} [1-9]`)
  const isThere = async (): Promise<boolean> => wanted.test(await (await gateway.fetch('/api/metrics')).text())
  await eventually(isThere, `a part that is ${status}`)
}

/** What every route answers that only reads, with the ids that lists gave. */
async function everything(gateway: GatewayProcess): Promise<readonly (readonly [path: string, text: string])[]> {
  const { paths } = (await (await gateway.fetch('/v1/openapi.json')).json()) as { readonly paths: { readonly [path: string]: JsonObject } }
  const read = Object.keys(paths).filter(
    (path) => paths[path]?.['get'] !== undefined && !path.includes('/stream') && !path.endsWith('/events'),
  )
  const texts = new Map<string, string>()
  const ask = async (path: string): Promise<void> => void texts.set(path, await (await gateway.fetch(path)).text())
  for (const path of read.filter((each) => !each.includes('{'))) await ask(path)
  const ids = [
    ...new Set(
      [...texts.values()].flatMap((text) => [...text.matchAll(/"(?:id|message_id|name)":"([^"]+)"/g)].flatMap(([, id]) => id ?? [])),
    ),
  ]
  for (const path of read.filter((each) => each.split('{').length === 2)) {
    for (const id of ids.slice(0, 200)) await ask(path.replace(/\{\w+\}/, encodeURIComponent(id)))
  }
  return [...texts]
}

async function openclaw(args: readonly string[], dir: string, env: { readonly [name: string]: string }): Promise<string> {
  const child = startChild([CLI, ...args], { env: { PATH: process.env['PATH'], OPENCLAW_DIR: dir, ...env }, cwd: dir })
  await child.ended
  return child.output()
}

const around = (text: string, form: string): string =>
  JSON.stringify(text.slice(Math.max(0, text.indexOf(form) - 120), text.indexOf(form) + 20))
