/** What the engine isolates with, and what an operator should know about it. Reads; changes nothing. */
import { createHash } from 'node:crypto'
import { readFile, readdir, stat } from 'node:fs/promises'
import { describeError } from '#contract'
import type { SandboxReport, SkillLanguage } from '#contract'
import type { SkillsSettings } from '../../settings.ts'
import { noImage } from './box.ts'
import type { Engine, EngineFacts, EngineImage } from './engine.ts'
import type { Census } from './pool.ts'

export interface ReportOptions {
  readonly engine: Engine
  readonly settings: SkillsSettings['docker']
  readonly languages: readonly SkillLanguage[]
  readonly census: Census
}

const ISOLATES = [
  'Each skill runs in a container of its own, as a user that has no other process on this machine, without capabilities, and cannot gain any.',
  'It has no network. Hosts that it declares are reached through a proxy of the gateway that lets nothing else pass.',
  'Its file system cannot be written but for /tmp, which is emptied after each call and from which no program is run.',
  'Memory, processor, processes, open files and disk are limited; system calls that programs do not need are refused.',
  'Calls of different tenants, skills, versions or secrets never share a container.',
]
const LEAVES = [
  'Containers share the kernel of this machine: a fault in the kernel is a way out. An OCI runtime as gVisor or Kata closes it (`skills.docker.runtime`).',
  'Whoever can use the engine’s socket is as good as root here; the gateway can.',
  'Other users of this machine can use the way out of a skill while its call runs: they reach the hosts that it declares, in its name.',
  'A skill sees the model of the processor, the version of the kernel and how busy the machine is.',
]
const PODMAN_LEAVES = [
  'Podman ends a container when the gateway is gone, so no run outlives it; how many files /tmp holds is bounded by memory only.',
]

export async function report({ engine, settings, languages, census }: ReportOptions): Promise<SandboxReport> {
  const parts = { name: 'docker', languages, isolates: ISOLATES, leaves: LEAVES }
  try {
    const [facts, image, own] = await Promise.all([engine.facts(), engine.image(settings.image), ownSupervisor()])
    const isPodman = facts.name === 'Podman'
    const reason = lack(facts, image, settings)
    return {
      ...parts,
      leaves: [...LEAVES, ...(isPodman ? PODMAN_LEAVES : [])],
      isAvailable: reason === null,
      reason,
      warnings: await warnings(engine, facts, image, own),
      facts: {
        engine: `${facts.name} ${facts.version}`,
        socket: engine.socket,
        runtime: settings.runtime ?? facts.defaultRuntime,
        runc: facts.runcVersion,
        cgroups: `v${facts.cgroupVersion}`,
        security: [...facts.securityOptions],
        image: image?.id ?? null,
        containers: { ...census, max: settings.maxContainers },
      },
    }
  } catch (error) {
    const facts = { socket: engine.socket, containers: { ...census, max: settings.maxContainers } }
    return { ...parts, isAvailable: false, reason: describeError(error).message, warnings: [], facts }
  }
}

function lack(facts: EngineFacts, image: EngineImage | null, { image: tag, runtime }: SkillsSettings['docker']): string | null {
  if (image === null) return noImage(tag)
  if (runtime !== null && facts.name === 'Podman' && runtime !== facts.defaultRuntime) {
    return `Podman takes no runtime by its socket and would run skills in ${facts.defaultRuntime}. Set \`runtime\` in its containers.conf, and take \`skills.docker.runtime\` out.`
  }
  if (runtime !== null && facts.runtimes[runtime] === undefined) {
    return `The engine knows no runtime ${runtime}, only ${Object.keys(facts.runtimes).join(', ')}. Install it there, or change \`skills.docker.runtime\`.`
  }
  return null
}

async function warnings(engine: Engine, facts: EngineFacts, image: EngineImage | null, own: string): Promise<readonly string[]> {
  const { securityOptions: security } = facts
  const has = (name: string): boolean => security.some((option) => option.includes(name))
  const supervisor = image?.labels['openclaw.supervisor']
  const mode = await stat(engine.socket).then(
    (found) => found.mode,
    () => 0,
  )
  return [
    ...(facts.name === 'Docker' && isOlder(facts.version, [25])
      ? [`Docker ${facts.version} is older than 25; newer ones have fixes for known ways out of containers.`]
      : []),
    ...(facts.runcVersion !== '' && isOlder(facts.runcVersion, [1, 2, 8])
      ? [`runc ${facts.runcVersion} is older than 1.2.8, which fixed CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881.`]
      : []),
    ...(has('seccomp') ? [] : ['The engine does not filter system calls (no seccomp); skills reach more of the kernel than they should.']),
    ...(facts.hasPidsLimit ? [] : ['The engine cannot limit processes (no pids controller); a skill can use up all there are.']),
    ...(facts.hasMemoryLimit ? [] : ['The engine cannot limit memory; a skill can use up all there is.']),
    ...((mode & 0o002) === 0
      ? []
      : [`Everybody on this machine may use ${engine.socket}, and with it become root. Take the right to write away from others.`]),
    ...(has('rootless') || has('userns')
      ? []
      : ['The engine runs as root without user namespaces; a rootless engine or `userns-remap` would be a second wall.']),
    ...(supervisor === undefined || supervisor === 'unknown' || supervisor === own
      ? []
      : ['The image was built from another version of the gateway. Build it again: docker/build.sh runtime.']),
  ]
}

function isOlder(version: string, than: readonly number[]): boolean {
  const parts = version.split(/[^0-9]+/).map(Number)
  for (const [at, wanted] of than.entries()) {
    const part = parts[at] ?? 0
    if (part !== wanted) return part < wanted
  }
  return false
}

/** The same sum as docker/build.sh makes and the image bears. */
async function ownSupervisor(): Promise<string> {
  const folder = new URL('../supervisor/', import.meta.url)
  const names = (await readdir(folder)).filter((name) => /\.(py|mjs)$/.test(name)).sort()
  const lines = await Promise.all(
    names.map(
      async (name) =>
        `${createHash('sha256')
          .update(await readFile(new URL(name, folder)))
          .digest('hex')}  ${name}\n`,
    ),
  )
  return createHash('sha256').update(lines.join('')).digest('hex').slice(0, 16)
}
