/**
 * An issuer of tokens over loopback: discovery and keys by HTTP, and tokens of any shape, honest or not, signed with Node's own crypto. What
 * it answers can be broken while it runs, and it counts what it was asked.
 */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'

export type Json = { readonly [name: string]: unknown }
export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA'

export interface SigningKey {
  readonly kid: string
  readonly alg: Algorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export function signingKey(kid: string, alg: Algorithm = 'RS256'): SigningKey {
  const pair =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : alg === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2_048 })
  return { kid, alg, ...pair }
}

export const jwkOf = ({ kid, alg, publicKey }: SigningKey): Json => ({ ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' })

export const base64url = (value: Json | string): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A token with exactly these parts; `header` and `claims` may be JSON text that no honest writer makes. */
export function token(key: SigningKey, claims: Json | string, header: Json | string = { alg: key.alg, kid: key.kid, typ: 'JWT' }): string {
  const input = `${base64url(header)}.${base64url(claims)}`
  return `${input}.${signature(key, input)}`
}

function signature({ alg, privateKey }: SigningKey, input: string): string {
  const data = Buffer.from(input)
  switch (alg) {
    case 'RS256':
      return sign('sha256', data, privateKey).toString('base64url')
    case 'PS256':
      return sign('sha256', data, { key: privateKey, padding: 6, saltLength: 32 }).toString('base64url')
    case 'ES256':
      return sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    case 'EdDSA':
      return sign(null, data, privateKey).toString('base64url')
  }
}

/** Signed with what everybody knows, as if it were a secret (RFC 8725 §2.1). */
export function symmetricToken(secret: string | Buffer, claims: Json, header: Json): string {
  const input = `${base64url(header)}.${base64url(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

export class FakeIssuer {
  keys: readonly Json[]
  /** Instead of the keys; null: they are answered. */
  instead: ((response: ServerResponse) => void) | null = null
  /** Members that the discovery document has otherwise. */
  discovered: Json = {}
  /** Paths, in the order in which they were asked for. */
  readonly asked: string[] = []
  #server: Server | null = null

  constructor(...keys: readonly SigningKey[]) {
    this.keys = keys.map(jwkOf)
  }

  /** Its name, and where it is. */
  get url(): string {
    const address = this.#server?.address()
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  get keyFetches(): number {
    return this.asked.filter((path) => path === '/jwks').length
  }

  async start(port = 0): Promise<this> {
    const server = createServer((request, response) => {
      this.asked.push(request.url ?? '')
      if (request.url === '/.well-known/openid-configuration') {
        response.end(JSON.stringify({ issuer: this.url, jwks_uri: `${this.url}/jwks`, ...this.discovered }))
      } else if (request.url !== '/jwks') response.writeHead(404).end()
      else if (this.instead !== null) this.instead(response)
      else response.end(JSON.stringify({ keys: this.keys }))
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    this.#server = server
    return this
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
}
