/**
 * What skills in containers do outside, seen from outside: a server on the loopback that they tell when they begin and ask when they may
 * end, the gateway's configuration that lets them, and their containers as the engine's own client sees them.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { SkillEffect } from '#contract'
import { post } from './conversation.ts'
import { docker, type TestEngine } from './docker.ts'
import type { GatewayProcess, Scope } from './gateway-process.ts'

export interface SkillWorld {
  /** `host:port`, as a skill declares it. */
  readonly place: string
  /** Keys with which a skill began, each time that its code ran. */
  readonly begun: (skill: string) => readonly string[]
  /** Resolves when so many have begun, of all skills. */
  readonly hasBegun: (count: number) => Promise<void>
  /** From now on whoever asks may end, or none. */
  readonly open: (isOpen: boolean) => void
}

const WAIT_MS = 30_000

export async function startSkillWorld(scope: Scope): Promise<SkillWorld> {
  const begun: { readonly skill: string; readonly key: string }[] = []
  let isOpen = true
  let tell = (): void => undefined
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://world')
    const [, what, skill = ''] = url.pathname.split('/')
    if (what === 'begin') {
      begun.push({ skill, key: url.searchParams.get('key') ?? '' })
      tell()
    }
    response.statusCode = what === 'begin' || isOpen ? 200 : 503
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.after(async () => {
    server.closeAllConnections()
    server.close()
  })
  return {
    place: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    begun: (skill) => begun.filter((each) => each.skill === skill).map(({ key }) => key),
    async hasBegun(count) {
      const limit = AbortSignal.timeout(WAIT_MS)
      while (begun.length < count) {
        await new Promise<void>((resolve, reject) => {
          tell = resolve
          limit.addEventListener('abort', () => reject(new Error(`${begun.length} of ${count} have begun`)), { once: true })
        })
      }
    },
    open: (is) => void (isOpen = is),
  }
}

/** Tells the world that it began, and goes on until the world lets it end: whatever gateway it reaches the world through. */
const codeOf = (id: string, place: string): string => `import time, urllib.parse, urllib.request
def ask(path):
    urllib.request.urlopen('http://${place}' + path, timeout=5).read()
def run(input, ctx):
    try:
        ask('/begin/${id}?key=' + urllib.parse.quote(ctx.key))
    except Exception:
        pass  # The gateway was killed before the answer came.
    while True:
        try:
            ask('/end/${id}')
            return {"key": ctx.key}
        except Exception:
            time.sleep(0.1)
`

export async function registerWorldly(
  gateway: GatewayProcess,
  { place }: SkillWorld,
  skill: { readonly id: string; readonly effect: SkillEffect; readonly timeoutMs?: number },
): Promise<void> {
  const { id, effect, timeoutMs = 60_000 } = skill
  const descriptor = {
    id,
    version: '1.0.0',
    inputs: {},
    outputs: { key: { type: 'string', description: 'Its key' } },
    runtime: { language: 'python', entrypoint: 'main.py' },
    network: { allow: [place] },
    effect,
    timeout_ms: timeoutMs,
  }
  const answer = await post(gateway, '/v1/skills', { descriptor, files: { 'main.py': codeOf(id, place) } })
  assert.ok(answer.ok, await answer.text())
}

export const skillsConfig = (
  engine: TestEngine,
  { place }: SkillWorld,
  more: { readonly max_containers?: number; readonly parked?: number; readonly [key: string]: unknown } = {},
): { readonly [key: string]: unknown } => {
  const { max_containers = 8, parked = 0, ...skills } = more
  return {
    sandbox: 'docker',
    docker: { socket: engine.socket, image: engine.image, max_containers, parked },
    private_hosts: [place],
    ...skills,
  }
}

/** Ids of the containers of the gateway that lives in this folder, of any life of it; one that never needed a sandbox has none. */
export async function containersOf(engine: Pick<TestEngine, 'socket'>, dir: string): Promise<readonly string[]> {
  const file = join(dir, '.openclaw', 'instance')
  if (!existsSync(file)) return []
  const instance = readFileSync(file, 'utf8').trim()
  const found = await docker(engine.socket, 'ps', '--all', '--quiet', '--filter', `label=openclaw.instance=${instance}`)
  return found.split('\n').filter((id) => id !== '')
}

/** For a test that failed: what a killed gateway left. */
export async function sweepContainers(engine: Pick<TestEngine, 'socket'>, dir: string): Promise<void> {
  const left = await containersOf(engine, dir).catch(() => [])
  if (left.length > 0) await docker(engine.socket, 'rm', '--force', ...left).catch(() => '')
}
