/**
 * A stand-in for HashiCorp Vault that speaks its HTTP API over loopback: tokens with a time to live, logins by AppRole and Kubernetes, KV version 2
 * with versions and deletions, KV version 1, and an engine that makes credentials with leases. Time is the caller's. Imports nothing of ours.
 * Methods, statuses and members are those of the pages and sources that test/gateway/secrets/vault.test.ts names.
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Json = { readonly [member: string]: unknown }

export interface VaultRequest {
  readonly method: string
  /** Below `/v1/`, with its query. */
  readonly path: string
  readonly token: string | null
  readonly namespace: string | null
}

interface Grant {
  readonly ttlS: number
  readonly maxS: number
}
interface Held extends Grant {
  readonly token: string
  readonly bornAt: number
  endsAt: number
}

export class FakeVault {
  readonly requests: VaultRequest[] = []
  /** Answers instead of what it would say: a proxy's, a standby's. */
  status: number | null = null
  isSealed = false
  namespace: string | null = null
  /** Paths that no policy allows. */
  readonly denied: Set<string> = new Set()
  /** Of the next logins and credentials. */
  tokenGrant: Grant = { ttlS: 3_600, maxS: 36_000 }
  leaseGrant: Grant = { ttlS: 600, maxS: 1_800 }
  readonly roles: Map<string, string> = new Map([['role-1', 'secret-id-1']])
  readonly jwts: Map<string, string> = new Map()
  readonly #now: () => number
  readonly #tokens = new Map<string, Held>()
  readonly #leases = new Map<string, Held>()
  readonly #versions = new Map<string, (Json | null)[]>()
  readonly #plain = new Map<string, Json>()
  readonly #server: Server
  #made = 0

  constructor(now: () => number = () => Date.now()) {
    this.#now = now
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this.url
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** A token that an operator made. */
  token(text: string, grant: Grant = { ttlS: 0, maxS: 0 }): string {
    this.#tokens.set(text, this.#held(text, grant))
    return text
  }

  /** A new version of a secret of KV version 2, mounted at `secret/`. */
  put(path: string, data: Json): void {
    this.#versions.set(path, [...(this.#versions.get(path) ?? []), data])
  }

  /** Deletes the newest version. */
  remove(path: string): void {
    const versions = this.#versions.get(path) ?? []
    this.#versions.set(path, [...versions.slice(0, -1), null])
  }

  /** KV version 1, mounted at `old/`. */
  putPlain(path: string, data: Json): void {
    this.#plain.set(path, data)
  }

  revokeTokens(): void {
    for (const token of this.#tokens.keys()) this.#revoke(token)
  }

  revokeLeases(): void {
    this.#leases.clear()
  }

  /** One that nobody asked for. */
  lease(): string {
    const id = `database/creds/app/${randomUUID()}`
    this.#leases.set(id, this.#held('', this.leaseGrant))
    return id
  }

  get leases(): readonly string[] {
    return [...this.#leases].filter(([, { endsAt }]) => endsAt > this.#now()).map(([id]) => id)
  }

  count(pattern: RegExp): number {
    return this.requests.filter(({ method, path }) => pattern.test(`${method} ${path}`)).length
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString('utf8')
    const asked: VaultRequest = {
      method: request.method ?? '',
      path: (request.url ?? '').replace(/^\/v1\//, ''),
      token: header(request, 'x-vault-token'),
      namespace: header(request, 'x-vault-namespace'),
    }
    this.requests.push(asked)
    const [status, body] = isAllowed(asked) ? this.#answer(asked, text === '' ? {} : (JSON.parse(text) as Json)) : UNSUPPORTED
    response.writeHead(status, { 'content-type': 'application/json', ...(status === 307 && { location: 'http://127.0.0.1:9/v1/' }) })
    // Neither has a body: 204 is done, 202 is queued.
    if (status === 204 || status === 202) response.end()
    else response.end(JSON.stringify('errors' in body ? body : { ...ENVELOPE, request_id: randomUUID(), ...body }))
  }

  #answer({ path, token, namespace }: VaultRequest, body: Json): readonly [number, Json] {
    if (this.status !== null) return [this.status, { errors: [] }]
    if (this.isSealed) return [503, { errors: ['Vault is sealed'] }]
    if (namespace !== this.namespace) return [404, { errors: ['no handler for route'] }]
    const [address = '', query = ''] = path.split('?')
    if (address === 'auth/approle/login') {
      return this.roles.get(String(body['role_id'])) === body['secret_id']
        ? [200, this.#login()]
        : [400, { errors: ['invalid role or secret ID'] }]
    }
    if (address === 'auth/kubernetes/login') {
      const jwt = this.jwts.get(String(body['role']))
      if (jwt === undefined) return [400, { errors: [`invalid role name "${String(body['role'])}"`] }]
      return jwt === body['jwt'] ? [200, this.#login()] : [403, { errors: ['permission denied'] }]
    }
    const held = token === null ? undefined : this.#tokens.get(token)
    // Vault echoes nothing of the token; this one does, to see whether it is repeated.
    if (token === null || held === undefined || held.endsAt <= this.#now() || this.denied.has(address))
      return [403, { errors: [`permission denied to ${token}`] }]
    if (address === 'auth/token/lookup-self') {
      const ttl = held.ttlS === 0 ? 0 : Math.round((held.endsAt - this.#now()) / 1_000)
      const times = { creation_time: Math.round(held.bornAt / 1_000), creation_ttl: held.ttlS, explicit_max_ttl: 0, ttl }
      return [
        200,
        { data: { accessor: 'a', display_name: 'token', ...times, id: token, num_uses: 0, orphan: true, renewable: held.ttlS > 0 } },
      ]
    }
    if (address === 'auth/token/renew-self')
      return held.ttlS === 0 ? [400, { errors: ['lease is not renewable'] }] : [200, { auth: this.#auth(token, this.#renew(held)) }]
    if (address === 'auth/token/revoke-self') {
      this.#revoke(token)
      return [204, {}]
    }
    if (address === 'sys/leases/renew' || address === 'sys/leases/revoke') return this.#lease(address, String(body['lease_id']))
    if (address.startsWith('sys/internal/ui/mounts/')) return mountOf(address.slice('sys/internal/ui/mounts/'.length))
    if (address.startsWith('secret/data/'))
      return this.#versioned(address.slice('secret/data/'.length), new URLSearchParams(query).get('version'))
    if (address.startsWith('old/')) {
      const data = this.#plain.get(address.slice('old/'.length))
      return data === undefined ? [404, { errors: [] }] : [200, { lease_id: '', renewable: false, lease_duration: 2_764_800, data }]
    }
    return address.startsWith('database/creds/') ? [200, this.#credentials(address, token)] : [404, { errors: [] }]
  }

  #login(): Json {
    const text = `hvs.${randomUUID().replaceAll('-', '')}`
    this.#tokens.set(text, this.#held(text, this.tokenGrant))
    return { auth: this.#auth(text, this.tokenGrant.ttlS) }
  }

  #auth(token: string, seconds: number): Json {
    const policies = { policies: ['default'], token_policies: ['default'], metadata: {} }
    return {
      client_token: token,
      accessor: 'a',
      ...policies,
      lease_duration: seconds,
      renewable: true,
      token_type: 'service',
      orphan: true,
    }
  }

  #versioned(path: string, asked: string | null): readonly [number, Json] {
    const versions = this.#versions.get(path)
    if (versions === undefined) return [404, { errors: [] }]
    const version = asked === null ? versions.length : Number(asked)
    const data = versions[version - 1]
    if (data === undefined) return [404, { errors: [] }]
    const metadata = {
      version,
      destroyed: false,
      created_time: '2026-01-01T00:00:00Z',
      custom_metadata: null,
      deletion_time: data === null ? '2026-01-02T00:00:00Z' : '',
    }
    return [data === null ? 404 : 200, { data: { data, metadata } }]
  }

  #credentials(path: string, token: string): Json {
    const id = `${path}/${randomUUID()}`
    this.#made += 1
    this.#leases.set(id, this.#held(token, this.leaseGrant))
    const data = { username: `v-token-app-${this.#made}`, password: `made-by-vault-${this.#made}` }
    return { lease_id: id, renewable: true, lease_duration: this.leaseGrant.ttlS, data }
  }

  #lease(address: string, id: string): readonly [number, Json] {
    const held = this.#leases.get(id)
    if (held === undefined || held.endsAt <= this.#now()) return [400, { errors: ['lease not found'] }]
    if (address === 'sys/leases/renew') return [200, { lease_id: id, renewable: true, lease_duration: this.#renew(held) }]
    this.#leases.delete(id)
    // Unless it is told to wait (`sync`) it says that it will.
    return [202, {}]
  }

  /** Never beyond its longest time, as Vault has it. */
  #renew(held: Held): number {
    held.endsAt = Math.min(this.#now() + held.ttlS * 1_000, held.bornAt + held.maxS * 1_000)
    return Math.round((held.endsAt - this.#now()) / 1_000)
  }

  /** What hangs on a token ends with it. */
  #revoke(token: string): void {
    this.#tokens.delete(token)
    for (const [id, held] of this.#leases) if (held.token === token) this.#leases.delete(id)
  }

  #held(token: string, grant: Grant): Held {
    const bornAt = this.#now()
    return { ...grant, token, bornAt, endsAt: grant.ttlS === 0 ? Number.POSITIVE_INFINITY : bornAt + grant.ttlS * 1_000 }
  }
}

/** Around every answer that is no error. */
const ENVELOPE: Json = {
  request_id: '',
  lease_id: '',
  renewable: false,
  lease_duration: 0,
  data: null,
  wrap_info: null,
  warnings: null,
  auth: null,
}
const UNSUPPORTED: readonly [number, Json] = [405, { errors: ['unsupported operation'] }]

/** PUT and POST are synonyms; everything else that is here is read. */
function isAllowed({ method, path }: VaultRequest): boolean {
  const isWritten = /^auth\/(approle|kubernetes)\/login$|^auth\/token\/(renew|revoke)-self$|^sys\/leases\/(renew|revoke)$/.test(path)
  return isWritten ? method === 'POST' || method === 'PUT' : method === 'GET'
}

function mountOf(path: string): readonly [number, Json] {
  const mount = (at: string, type: string, options: Json | null): readonly [number, Json] => {
    const about = { accessor: `${type}_1`, config: {}, description: '', local: false, seal_wrap: false, uuid: '1' }
    return [200, { data: { ...about, path: at, type, options } }]
  }
  if (path.startsWith('secret/')) return mount('secret/', 'kv', { version: '2' })
  if (path.startsWith('old/')) return mount('old/', 'kv', { version: '1' })
  return path.startsWith('database/')
    ? mount('database/', 'database', null)
    : [403, { errors: [`preflight capability check returned 403, please ensure client's policies grant access to path "${path}/"`] }]
}

function header(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name]
  return typeof value === 'string' ? value : null
}
