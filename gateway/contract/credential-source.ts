/** Whose word is taken for who somebody is: issuers of tokens, and certificates of services, as the operator names them. Checked by the configuration, used by HTTP and gRPC. */

/** Where in a token's claims things stand: the name of a claim, or a dotted path into one. */
export interface ClaimPaths {
  readonly subject: string
  readonly scopes: string
  readonly roles: string | null
  readonly tenant: string | null
}

/** One of `auth.issuers`, checked. */
export interface IssuerConfig {
  readonly issuer: string
  readonly audiences: readonly string[]
  /** null: by discovery. */
  readonly jwksUri: string | null
  readonly discoveryUri: string
  readonly algorithms: readonly string[]
  readonly toleranceMs: number
  readonly maxAgeMs: number
  /** What the header's `typ` has to be; null: what access tokens and plain tokens have. */
  readonly typ: string | null
  readonly claims: ClaimPaths
  readonly tenant: string | null
  readonly grantableScopes: readonly string[]
}

/** A service that comes with a certificate. */
export interface CertificateClient {
  /** Its URI (`spiffe://acme/worker`) or DNS name, as the certificate has it. */
  readonly san: string
  /** The principal's id. */
  readonly name: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  readonly tenant: string
  /** `sha256/<base64>` of the public key (RFC 7469 §2.4); none: any key that the authority signed. */
  readonly pins: readonly string[]
}

export interface TlsSettings {
  /** PEM: the certificate, and those between it and its authority. */
  readonly cert: string
  readonly key: string
  /** PEM of the authorities whose clients are taken; null: no client is asked for a certificate. */
  readonly clientCa: string | null
  /** Nobody without a certificate gets as far as HTTP. */
  readonly isClientRequired: boolean
  readonly clients: readonly CertificateClient[]
}
