/** A DockerSandbox and jobs for it, for tests and benches: its folder goes, and its containers with it, when the test is over. */
import { randomUUID } from 'node:crypto'
import type { JsonValue, SkillLanguage } from '#contract'
import { DockerSandbox, type DockerOptions } from '../../skills/sandbox/docker/docker.ts'
import { LABELS } from '../../skills/sandbox/docker/box.ts'
import { makeInstance } from '../../skills/sandbox/docker/instance.ts'
import type { Job } from '../../skills/sandbox/sandbox.ts'
import { docker, type TestEngine } from './docker.ts'
import { temporaryFolder, type Scope } from './gateway-process.ts'
import { noMetrics } from './no-metrics.ts'
import { quietLog } from './quiet-log.ts'
import { realClock } from './real-clock.ts'
import { skillDescriptor } from './skill.ts'

export interface Contained {
  readonly sandbox: DockerSandbox
  /** The folder by which its containers are known. */
  readonly dir: string
  /** Ids of its containers, of any life. */
  readonly containers: () => Promise<readonly string[]>
}

export interface ContainedOptions extends Partial<Omit<DockerOptions, 'settings'>> {
  readonly maxContainers?: number
  readonly parked?: number
  readonly maxQueued?: number
  readonly queueMs?: number
  readonly image?: string
  readonly runtime?: string
}

export async function startSandbox(scope: Scope, engine: TestEngine, options: ContainedOptions = {}): Promise<Contained> {
  const { maxContainers = 4, parked = 0, maxQueued = 100, queueMs = 20_000, image = engine.image, runtime = null, ...given } = options
  const dir = given.dir ?? temporaryFolder(scope)
  const settings = { docker: { socket: engine.socket, image, runtime, maxContainers, parked }, maxQueued, queueMs }
  const parts = { env: {}, log: quietLog, clock: realClock, metrics: noMetrics, egress: null, volumes: null }
  const sandbox = new DockerSandbox({ ...parts, ...given, dir, settings })
  scope.after(() => sandbox.stop())
  await sandbox.start()
  const containers = async (): Promise<readonly string[]> => {
    const label = `label=${LABELS.instance}=${await makeInstance(dir)}`
    return (await docker(engine.socket, 'ps', '--all', '--quiet', '--no-trunc', '--filter', label)).split('\n').filter((id) => id !== '')
  }
  return { sandbox, dir, containers }
}

export interface Code {
  readonly language: Extract<SkillLanguage, 'python' | 'node' | 'shell'>
  readonly code: string
  readonly id?: string
  readonly resources?: Partial<Job['bundle']['descriptor']['resources']>
}

const ENTRYPOINTS = { python: 'main.py', node: 'main.mjs', shell: 'main.sh' } as const

export function jobFor({ language, code, id = 'tried', resources }: Code, input: JsonValue = {}, more: Partial<Job> = {}): Job {
  const entrypoint = ENTRYPOINTS[language]
  return {
    key: randomUUID(),
    tenant: 'default',
    bundle: {
      digest: `sha256-${id}-${language}-${code}`,
      descriptor: skillDescriptor({
        id,
        runtime: { language, entrypoint },
        timeoutMs: 10_000,
        resources: { memoryMb: 128, cpus: 1, pids: 64, tmpMb: 16, ...resources },
      }),
      files: { [entrypoint]: Buffer.from(code) },
    },
    input,
    secrets: {},
    egress: [],
    grade: 'lease',
    timeoutMs: 10_000,
    traceparent: null,
    signal: new AbortController().signal,
    tell: () => {},
    call: () => Promise.resolve({ status: 'error', code: 'not_found', message: 'there is none' }),
    ...more,
  }
}
