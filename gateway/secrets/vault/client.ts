/**
 * One call to the HTTP API of Vault (or OpenBao, which speaks the same): bounded in time and size, its failures as errors of the contract by
 * what can be done about them. Knows no secret engine, keeps no token and never repeats its answers' words: they may hold
 * what was asked for.
 */
import { ConflictError, DeniedError, InvalidError, NotFoundError, UnavailableError, isJsonObject } from '#contract'
import type { JsonObject, OpenClawError } from '#contract'

export interface VaultCall {
  readonly method: 'GET' | 'POST'
  /** Below `/v1/`. */
  readonly path: string
  readonly token?: string
  readonly body?: JsonObject
}
/** @throws an error of the contract: `UnavailableError` alone is worth another try */
export type AskVault = (call: VaultCall) => Promise<JsonObject>

export interface VaultAddress {
  readonly address: string
  readonly namespace: string | null
}

const TIMEOUT_MS = 5_000
const MAX_BYTES = 1_048_576

export function vaultAt({ address, namespace }: VaultAddress, signal: AbortSignal): AskVault {
  const base = address.replace(/\/+$/, '')
  return async ({ method, path, token, body }) => {
    let response: Response
    let text: string
    try {
      response = await fetch(`${base}/v1/${path}`, {
        method,
        // A standby that redirects would be followed with the token in hand, to wherever it says.
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
        headers: {
          // Vault's own agent and CLI send it: a proxy that was tricked into a request would not.
          'x-vault-request': 'true',
          ...(token !== undefined && { 'x-vault-token': token }),
          ...(namespace !== null && { 'x-vault-namespace': namespace }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      text = await bounded(response)
    } catch (error) {
      throw unreachable(base, error)
    }
    // 202: what was asked for is queued, as leases that are revoked are. Neither has a body.
    if (response.status === 204 || response.status === 202) return {}
    if (response.status !== 200) throw refusal(response.status, `${method} ${path}`, text)
    const answer = parsed(text)
    if (answer === null)
      throw new UnavailableError(`Vault at ${base} answered ${path} with something else than JSON; is it Vault?`, {
        code: 'VAULT_UNAVAILABLE',
      })
    return answer
  }
}

async function bounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MAX_BYTES) throw new RangeError(`more than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function unreachable(base: string, error: unknown): UnavailableError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const why =
    cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
      ? cause.code
      : cause instanceof Error && cause.name === 'TimeoutError'
        ? `no answer in ${TIMEOUT_MS} ms`
        : cause instanceof RangeError
          ? cause.message
          : 'no answer'
  return new UnavailableError(`Vault at ${base} cannot be reached (${why}).`, { code: 'VAULT_UNAVAILABLE' })
}

/** developer.hashicorp.com/vault/api-docs, "HTTP status codes". */
function refusal(status: number, what: string, text: string): OpenClawError {
  if (status === 403)
    return new DeniedError(`Vault denied ${what}: its policy does not allow it, or the token is no longer valid.`, {
      code: 'VAULT_DENIED',
      reason: 'forbidden',
    })
  if (status === 404)
    return new NotFoundError(
      wasDeleted(text) ? `Vault has this version of ${what} no more: it was deleted.` : `Vault has nothing at ${what}.`,
      { code: 'VAULT_NOT_FOUND' },
    )
  if (status === 503) return new UnavailableError('Vault is sealed or down for maintenance; unseal it.', { code: 'VAULT_UNAVAILABLE' })
  if (status >= 300 && status < 400)
    return new ConflictError(
      `Vault answered ${what} with a redirect (${status}), which is not followed; set secrets.vault_addr to the address of the cluster.`,
      { code: 'VAULT_REFUSED' },
    )
  // 412: a standby that has not seen a write yet; 429: its limit of requests; 472 and 473: a standby that serves none.
  if (status >= 500 || [412, 429, 472, 473].includes(status))
    return new UnavailableError(`Vault answered ${what} with ${status}.`, { code: 'VAULT_UNAVAILABLE' })
  return new InvalidError(`Vault refused ${what} (${status}).`, { code: 'VAULT_REFUSED' })
}

/** KV v2 answers 404 for a deleted version and still tells its metadata. */
function wasDeleted(text: string): boolean {
  const data = parsed(text)?.['data']
  return isJsonObject(data) && data['data'] === null && isJsonObject(data['metadata'])
}

function parsed(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}
