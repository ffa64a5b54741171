/** The container in which packages are unpacked, as data: as hard as that of a skill, only that it may write to the new volume. */
import { isJsonObject } from '#contract'
import type { JsonObject } from '#contract'
import { DEPS_MOUNT, containerBody } from '../sandbox/docker/profile.ts'
import type { Terms } from '../sandbox/docker/terms.ts'

export interface UnpackerOptions {
  readonly image: string
  readonly runtime: string | null
  readonly terms: Terms
  readonly volume: string
  /** `installer.py`; given with the command, so that image and gateway cannot differ. */
  readonly script: string
}

const PROFILE = { key: '', language: 'python', memoryMb: 1_024, cpus: 1, pids: 32, tmpMb: 256, deps: null, hasEgress: false } as const

export function unpackerBody({ image, runtime, terms, volume, script }: UnpackerOptions): JsonObject {
  // Without any capability, root is whom a new volume belongs to and no more. No label of ours: it is nobody's sandbox, and goes by itself.
  const body = containerBody(PROFILE, { image, runtime, terms, uid: 0, labels: {}, egressDir: null })
  const host = body['HostConfig']
  return {
    ...body,
    Cmd: ['python3', '-I', '-S', '-B', '-c', script],
    // When the gateway dies, its input ends, and so does it.
    StdinOnce: true,
    HostConfig: {
      ...(isJsonObject(host) ? host : {}),
      AutoRemove: true,
      Mounts: [{ Type: 'volume', Source: volume, Target: DEPS_MOUNT, ReadOnly: false, VolumeOptions: { NoCopy: true } }],
    },
  }
}
