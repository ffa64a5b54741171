/**
 * One read of a path, whatever engine answers for it: KV version 2 wraps its fields and counts versions, KV version 1 does not, and engines that make
 * credentials (database, aws, rabbitmq, …) put a lease on them. Which it is Vault itself says, as it does to its own CLI.
 */
import { DeniedError, NotFoundError, isJsonObject } from '#contract'
import type { JsonObject } from '#contract'
import type { AskVault } from './client.ts'

export interface VaultEntry {
  readonly fields: JsonObject
  /** null: it does not end. */
  readonly lease: { readonly id: string; readonly ttlMs: number; readonly isRenewable: boolean } | null
}

export async function readEntry(ask: AskVault, token: string, path: string, version: number | null): Promise<VaultEntry> {
  const mount = await mountOf(ask, token, path)
  const answer = await ask({ method: 'GET', path: addressOf(mount, path, version), token })
  const { data, lease_id: id, lease_duration: seconds, renewable } = answer
  const outer = isJsonObject(data) ? data : {}
  // Also where the mount could not be asked for and the path was given as the API has it; elsewhere fields may be called so.
  const mayBeWrapped = mount === null || isVersioned(mount)
  const inner = mayBeWrapped && isJsonObject(outer['data']) && isJsonObject(outer['metadata']) ? outer['data'] : outer
  const isLeased = typeof id === 'string' && id !== '' && typeof seconds === 'number' && seconds > 0
  return { fields: inner, lease: isLeased ? { id, ttlMs: seconds * 1_000, isRenewable: renewable === true } : null }
}

/** `secret/app` → `secret/data/app` where `secret/` is KV version 2. */
function addressOf(mount: Mount | null, path: string, version: number | null): string {
  const query = version === null ? '' : `?version=${version}`
  if (mount === null || !isVersioned(mount)) return path + query
  const rest = path.slice(mount.path.length)
  return rest.startsWith('data/') ? path + query : `${mount.path}data/${rest}${query}`
}

const isVersioned = ({ type, version }: Mount): boolean => type === 'kv' && version === '2'

interface Mount {
  readonly path: string
  readonly type: string
  readonly version: string
}

/** null: whoever may not see the mount gives the path as the API has it. */
async function mountOf(ask: AskVault, token: string, path: string): Promise<Mount | null> {
  try {
    const answer = await ask({ method: 'GET', path: `sys/internal/ui/mounts/${path}`, token })
    const data = isJsonObject(answer['data']) ? answer['data'] : {}
    const { path: at, type, options } = data
    const version = isJsonObject(options) ? options['version'] : undefined
    if (typeof at !== 'string' || typeof type !== 'string' || !path.startsWith(at)) return null
    return { path: at, type, version: typeof version === 'string' ? version : '1' }
  } catch (error) {
    if (error instanceof DeniedError || error instanceof NotFoundError) return null
    throw error
  }
}
