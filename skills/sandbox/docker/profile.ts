/**
 * The hardened container as data. A profile is what containers have in common before they have code, tenant or secret; those of one profile
 * are interchangeable. The body is what the engine is asked for: no network, no rights, a file system that cannot be written but for /tmp,
 * a user of its own for each slot, and limits on everything that can be used up.
 */
import { createHash } from 'node:crypto'
import type { JsonObject, JsonValue, SkillDescriptor, SkillLanguage } from '#contract'
import { EGRESS_MOUNT, EGRESS_SOCKET } from '../../egress/egress.ts'
import type { Terms } from './terms.ts'

export type ContainerLanguage = Extract<SkillLanguage, 'python' | 'node' | 'shell'>

export interface Profile {
  /** The same for the same profile. */
  readonly key: string
  readonly language: ContainerLanguage
  readonly memoryMb: number
  readonly cpus: number
  readonly pids: number
  readonly tmpMb: number
  /** A volume with what the lock file names; null: none. */
  readonly deps: string | null
  /** Has a way out to declared hosts. */
  readonly hasEgress: boolean
}

export interface BodyOptions {
  readonly image: string
  /** An OCI runtime; null: the engine's own choice. */
  readonly runtime: string | null
  readonly terms: Terms
  readonly uid: number
  readonly labels: { readonly [name: string]: string }
  /** Of the door that leads out; null: none. */
  readonly egressDir: string | null
}

export const DEPS_MOUNT = '/deps'
export const EGRESS_PATH: string = `${EGRESS_MOUNT}/${EGRESS_SOCKET}`
const SUPERVISOR = ['python3', '-I', '-S', '-B', '/opt/openclaw/supervisor.py', '--owner'] as const
const MIB = 1_048_576
const CPU_PERIOD_US = 100_000
const OPEN_FILES = 256
/** Each file in /tmp takes kernel memory even when it is empty. */
const TMP_FILES = 4_096
/** gVisor's own threads count as the container's. */
const GVISOR_PIDS = 256
const BLOCKS = 600
const BLOCK_UIDS = 64
const FIRST_UID = 20_000

export function profileOf(descriptor: SkillDescriptor, { deps, hasEgress }: Pick<Profile, 'deps' | 'hasEgress'>): Profile | null {
  const { language } = descriptor.runtime
  if (language !== 'python' && language !== 'node' && language !== 'shell') return null
  const { memoryMb, cpus, pids, tmpMb } = descriptor.resources
  const key = [language, `${memoryMb}m`, `${cpus}c`, `${pids}p`, `${tmpMb}t`, deps ?? '-', hasEgress ? 'egress' : '-'].join('/')
  return { key, language, memoryMb, cpus, pids, tmpMb, deps, hasEgress }
}

/**
 * Containers that share a uid share its quotas (inotify, processes, pending signals) across all containers, so each slot has one, and
 * two gateways on a machine most likely have different ones. Below 65 536, which is all that a remapped user namespace has.
 */
export function uidOf(instance: string, slot: number): number {
  const block = createHash('sha256').update(instance).digest().readUInt32BE() % BLOCKS
  return FIRST_UID + ((block * BLOCK_UIDS + slot) % (BLOCKS * BLOCK_UIDS))
}

export function containerBody(profile: Profile, options: BodyOptions): JsonObject {
  const { runtime, uid, terms } = options
  const memory = profile.memoryMb * MIB
  const pids = profile.pids + (runtime !== null && /runsc|gvisor/.test(runtime) ? GVISOR_PIDS : 0)
  return {
    Image: options.image,
    Cmd: [...SUPERVISOR, '--language', profile.language, ...(profile.hasEgress ? ['--egress', EGRESS_PATH] : [])],
    Entrypoint: [],
    User: `${uid}:${uid}`,
    Hostname: 'sandbox',
    WorkingDir: '/tmp',
    Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'LANG=C.UTF-8', 'HOME=/tmp'],
    Labels: { ...options.labels },
    NetworkDisabled: true,
    Tty: false,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    OpenStdin: true,
    // A gateway that dies leaves the run going; the next one finds it.
    StdinOnce: false,
    StopTimeout: 1,
    HostConfig: {
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      Privileged: false,
      SecurityOpt: ['no-new-privileges', `seccomp=${terms.seccomp}`],
      IpcMode: 'none',
      PidsLimit: pids,
      Memory: memory,
      // The same: no swap beyond it.
      MemorySwap: memory,
      CpuPeriod: CPU_PERIOD_US,
      CpuQuota: Math.max(1_000, Math.round(profile.cpus * CPU_PERIOD_US)),
      // When the machine has no memory left, a sandbox goes before the gateway.
      OomScoreAdj: 500,
      Ulimits: [
        limit('nofile', OPEN_FILES),
        limit('core', 0),
        limit('fsize', profile.tmpMb * MIB),
        limit('memlock', 65_536),
        // Podman would raise it, for which it may lack the right. Above `PidsLimit`, which bounds and is counted.
        ...(terms.isPodman ? [limit('nproc', 4 * pids)] : []),
      ],
      // Podman knows no `nr_inodes`; there the memory bounds how many files there are.
      Tmpfs: {
        '/tmp': `rw,noexec,nosuid,nodev,size=${profile.tmpMb}m,${terms.isPodman ? '' : `nr_inodes=${TMP_FILES},`}mode=1777`,
      },
      Mounts: mounts(profile, options.egressDir),
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      ...(runtime === null ? {} : { Runtime: runtime }),
    },
  }
}

const limit = (name: string, value: number): JsonValue => ({ Name: name, Soft: value, Hard: value })

/** The only two, both read-only. Code comes with the call and is never mounted. */
function mounts({ deps }: Profile, egressDir: string | null): JsonValue[] {
  return [
    ...(deps === null ? [] : [{ Type: 'volume', Source: deps, Target: DEPS_MOUNT, ReadOnly: true, VolumeOptions: { NoCopy: true } }]),
    ...(egressDir === null ? [] : [{ Type: 'bind', Source: egressDir, Target: EGRESS_MOUNT, ReadOnly: true }]),
  ]
}
