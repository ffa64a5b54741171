/**
 * Who a client certificate proves. The chain was checked by TLS; here its names (SAN, RFC 6125 §1.8: never the common name) are looked up
 * among the clients that the operator named, and its public key is held against their pins, if they have any.
 */
import { X509Certificate, createHash } from 'node:crypto'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import type { Socket } from 'node:net'
import type { CertificateClient, Principal } from '#contract'
import type { Proven } from './credentials.ts'
import type { Roles } from './roles.ts'

export class Certificates {
  readonly #roles: Roles
  #clients: ReadonlyMap<string, CertificateClient>
  /** A connection has one certificate. Forgotten as a whole when clients or roles change. */
  #proven = new WeakMap<Socket, Proven>()

  constructor(options: { readonly clients: readonly CertificateClient[]; readonly roles: Roles }) {
    this.#roles = options.roles
    this.#clients = byName(options.clients)
  }

  /** null: no certificate, none that holds, or one of nobody that was named. */
  prove(socket: Socket): Proven | null {
    if (this.#clients.size === 0 || !isTls(socket) || !socket.authorized) return null
    const known = this.#proven.get(socket)
    if (known !== undefined) return known
    const certificate = socket.getPeerCertificate()
    for (const name of namesOf(certificate)) {
      const client = this.#clients.get(name)
      if (client === undefined || !isPinned(client, certificate)) continue
      const proven = this.#proof(client, certificate)
      this.#proven.set(socket, proven)
      return proven
    }
    return null
  }

  /** Whether somebody of that name comes with a certificate: what the name owns is theirs. */
  isNamed(tenant: string, name: string): boolean {
    return [...this.#clients.values()].some((client) => client.tenant === tenant && client.name === name)
  }

  /** Other clients. Answers the ids of proofs that end. */
  configure(clients: readonly CertificateClient[]): readonly string[] {
    const before = this.#clients
    this.#clients = byName(clients)
    this.#proven = new WeakMap()
    return [...before.values()].filter((client) => JSON.stringify(client) !== JSON.stringify(this.#clients.get(client.san))).map(proofId)
  }

  /** What roles give has changed. */
  forget(): void {
    this.#proven = new WeakMap()
  }

  #proof(client: CertificateClient, certificate: PeerCertificate): Proven {
    const { name, tenant, roles } = client
    const scopes = new Set([...client.scopes, ...this.#roles.permissions(tenant, roles)])
    const principal: Principal = {
      id: name,
      credential: `cert:${certificate.fingerprint256.replaceAll(':', '').toLowerCase()}`,
      tenant,
      scopes,
    }
    const expiresAt = Date.parse(certificate.valid_to)
    const endsWith = [proofId(client), ...this.#roles.proofIds(tenant, roles)]
    return {
      principal,
      by: 'certificate',
      via: 'certificate',
      countedAs: `certificate/${client.san}`,
      roles,
      expiresAt,
      endsWith,
      touch: () => undefined,
    }
  }
}

const byName = (clients: readonly CertificateClient[]): ReadonlyMap<string, CertificateClient> =>
  new Map(clients.map((client) => [client.san, client]))

const proofId = ({ san }: CertificateClient): string => `certificate:${san}`

const isTls = (socket: Socket): socket is TLSSocket => 'authorized' in socket && 'getPeerCertificate' in socket

/** `URI:spiffe://acme/worker, DNS:worker.example`; Node quotes what could be taken for more than one (CVE-2021-44532). */
function namesOf({ subjectaltname = '' }: Partial<PeerCertificate>): readonly string[] {
  if (subjectaltname.includes('"')) return []
  return subjectaltname.split(', ').flatMap((name) => (/^(?:URI|DNS):/.test(name) ? [name.slice(4)] : []))
}

function isPinned({ pins }: CertificateClient, { raw }: PeerCertificate): boolean {
  if (pins.length === 0) return true
  const key = new X509Certificate(raw).publicKey.export({ type: 'spki', format: 'der' })
  return pins.includes(`sha256/${createHash('sha256').update(key).digest('base64')}`)
}
