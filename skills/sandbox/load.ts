/** A bundle as a supervisor is given it, and what lies in its sandbox beside it. */
import type { Bundle } from '../bundle/bundle.ts'
import { jsonBytes } from './frames.ts'

export interface CellExtras {
  /** Path in the sandbox of what the lock file names; null: none. */
  readonly deps: string | null
  /** Path in the sandbox of the unix socket of the egress proxy; null: no network. */
  readonly egress: string | null
  /** Of each process by rlimit, where no control group bounds the sandbox; null: something else does. */
  readonly limits: { readonly memoryMb: number; readonly pids: number; readonly tmpMb: number } | null
}

/** The payload of a LOAD. */
export function loadBytes({ digest, descriptor, files }: Bundle, { deps, egress, limits }: CellExtras): Buffer {
  const { language, entrypoint } = descriptor.runtime
  const encoded = Object.entries(files).map(([path, bytes]) => [
    path,
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  ])
  const bounds = limits === null ? null : { memory_mb: limits.memoryMb, pids: limits.pids, tmp_mb: limits.tmpMb }
  return jsonBytes({ digest, language, entrypoint, files: Object.fromEntries(encoded), deps, egress, limits: bounds })
}
