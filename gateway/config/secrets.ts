/**
 * The block `secrets` of `openclaw.yaml`: where values lie that the file does not hold. It is read before all else, because the rest may refer to
 * what lies there. Asking for them is `gateway/secrets`.
 */
import type { JsonObject } from '#contract'
import type { SecretsSettings } from '../secrets/secrets.ts'
import { isPath } from '../secrets/vault/path.ts'
import type { VaultAuth } from '../secrets/vault/session.ts'
import { durationMs } from './quantity.ts'
import { choice, duration, object, text } from './schema-parts.ts'
import type { Tell } from './tree.ts'

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token'

export const secretsSchema: JsonObject = object('Where `${…}` finds what is not in this file', {
  backend: choice('vault: also HashiCorp Vault or OpenBao; env: environment, files and `.env` alone', ['env', 'vault'], 'env'),
  vault_addr: { type: 'string', format: 'uri', description: "Vault's address, with https beyond loopback" },
  vault_path: text('The secret whose fields are looked up for `${NAME}` last, and for `${vault:#field}`: `secret/openclaw`'),
  vault_namespace: text("Vault's namespace"),
  vault_auth: object('How the gateway shows Vault who it is', {
    method: choice('By a token, a role with an id, or the service account of a pod', ['token', 'approle', 'kubernetes'], 'token'),
    token: text('token: write `${VAULT_TOKEN}` or `${file:vault-token}`'),
    role_id: text('approle: id of the role'),
    secret_id: text('approle: its secret, where the role wants one'),
    role: text('kubernetes: name of the role'),
    jwt_file: text("kubernetes: file with the service account's token", SERVICE_ACCOUNT),
    mount: { type: 'string', pattern: '^[\\w-]+(/[\\w-]+)*$', description: 'Where the method is mounted; default: its name' },
  }),
  refresh: duration('How often files and plain entries of Vault are looked at for other values', '5m', 1, 86_400),
})

export interface SecretsBlock {
  readonly backend: 'env' | 'vault'
  readonly vault_addr?: string
  readonly vault_path?: string
  readonly vault_namespace?: string
  readonly vault_auth: {
    readonly method: VaultAuth['method']
    readonly token?: string
    readonly role_id?: string
    readonly secret_id?: string
    readonly role?: string
    readonly jwt_file: string
    readonly mount?: string
  }
  readonly refresh: string | number
}

/** What its keys say about each other. */
export function checkSecrets(block: SecretsBlock, tell: Tell): void {
  if (block.backend !== 'vault') return
  const { vault_addr: address, vault_path: home, vault_auth: auth } = block
  if (address === undefined) tell(['secrets', 'vault_addr'], 'nothing, expected the address of Vault because the backend is vault')
  else if (!isBare(address))
    tell(
      ['secrets', 'vault_addr'],
      'an address with user, password or query, expected scheme, host and port alone; who we are is vault_auth',
    )
  else if (!isPrivate(address))
    tell(['secrets', 'vault_addr'], 'plain HTTP beyond loopback, expected https: the token and every secret would travel in the clear')
  if (home !== undefined && !isPath(home)) tell(['secrets', 'vault_path'], 'no path in Vault, expected mount and name like secret/openclaw')
  const needed = NEEDED[auth.method]
  if (auth[needed] === undefined) tell(['secrets', 'vault_auth', needed], `nothing, expected it because the method is ${auth.method}`)
}

const NEEDED = { token: 'token', approle: 'role_id', kubernetes: 'role' } as const

export function secretsSettings(block: SecretsBlock): SecretsSettings {
  const { vault_addr: address, vault_path: home = null, vault_namespace: namespace = null } = block
  const refreshMs = durationMs(block.refresh) ?? 0
  if (block.backend !== 'vault' || address === undefined) return { vault: null, refreshMs }
  return { vault: { address, namespace, home, auth: authOf(block.vault_auth) }, refreshMs }
}

function authOf(auth: SecretsBlock['vault_auth']): VaultAuth {
  const { method, mount = method } = auth
  switch (method) {
    case 'token':
      return { method, token: auth.token ?? '' }
    case 'approle':
      return { method, mount, roleId: auth.role_id ?? '', secretId: auth.secret_id ?? null }
    case 'kubernetes':
      return { method, mount, role: auth.role ?? '', jwtFile: auth.jwt_file }
  }
}

function isBare(address: string): boolean {
  const { username, password, search, hash } = new URL(address)
  return username + password + search + hash === ''
}

function isPrivate(address: string): boolean {
  const { protocol, hostname } = new URL(address)
  return protocol === 'https:' || (protocol === 'http:' && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname))
}
