/** The whole gateway with a model that a test scripts, and OpenAI's own client before it. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI, { APIError } from 'openai'
import { run } from '../../../gateway/run.ts'
import { FakeOpenAI } from '../../fakes/openai.ts'

export type Json = { readonly [name: string]: unknown }

export interface World {
  readonly model: FakeOpenAI
  readonly url: string
  readonly key: string
  readonly client: OpenAI
  clientWith(key: string): OpenAI
  fetch(
    path: string,
    init?: { readonly method?: string; readonly json?: unknown; readonly headers?: { readonly [name: string]: string } },
  ): Promise<Response>
  /** What the model was given, oldest first. */
  prompts(): readonly { readonly role: string; readonly content: unknown }[][]
  stop(): Promise<void>
}

export async function startWorld(): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-completions-'))
  const model = new FakeOpenAI()
  const base = await model.start()
  const config = {
    server: { port: 0, metrics_port: 0 },
    log: { level: 'silent' },
    llm: {
      providers: { fake: { api: 'chat', base_url: base, api_key: 'k' }, claude: { api: 'messages', base_url: base, api_key: 'k' } },
      defaults: { max_retries: 0 },
    },
    agents: {
      main: { model: 'fake/m', skills: [], prompt: 'You are main.' },
      shared: { model: 'fake/m', skills: [], session: { scope: 'main' } },
      skilled: { model: 'fake/m', skills: ['*'], limits: { max_steps: 1 } },
      echo: { model: 'builtin/echo' },
      mixed: { model: 'fake/m', fallback: ['claude/m'] },
      short: { model: 'fake/m', skills: [], limits: { max_output_tokens: 50 } },
    },
    fallback: 'main',
    turns: { attempts: 1 },
    skills: { sandbox: 'none' },
  }
  await writeFile(join(dir, 'openclaw.yaml'), JSON.stringify(config))
  const gateway = await run({ env: { OPENCLAW_DIR: dir }, print: () => undefined })
  const key = (await readFile(join(dir, '.openclaw', 'admin.key'), 'utf8')).trim()
  const clientWith = (apiKey: string): OpenAI => new OpenAI({ apiKey, baseURL: `${gateway.url}/v1` })
  return {
    model,
    url: gateway.url,
    key,
    client: clientWith(key),
    clientWith,
    fetch: (path, { method = 'GET', json, headers = {} } = {}) =>
      fetch(new URL(path, gateway.url), {
        method,
        headers: { authorization: `Bearer ${key}`, ...(json !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(json !== undefined && { body: JSON.stringify(json) }),
      }),
    prompts: () => model.requests.map(({ body }) => body['messages'] as { role: string; content: unknown }[]),
    async stop() {
      await gateway.stop()
      await model.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** What the official client throws. */
export async function apiError(asking: Promise<unknown>): Promise<InstanceType<typeof APIError>> {
  const error: unknown = await asking.then(
    () => assert.fail('it was answered'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof APIError) return error
  throw error
}
