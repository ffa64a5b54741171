/** TLS of the server, as `openclaw.yaml` says it: the files, and the clients that come with certificates. */
import { BUILTIN_ROLES, DEFAULT_TENANT, SCOPES, TENANT_PATTERN, nearest } from '#contract'
import type { JsonObject, TlsSettings } from '#contract'
import { choice, flag, list, map, object, text } from './schema-parts.ts'
import type { Tell } from './tree.ts'

const client: JsonObject = {
  ...object('A service that comes with a certificate', {
    name: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$', description: 'The owner, as a key has one' },
    scopes: list('What it may do', choice('One of them', SCOPES)),
    roles: list('Roles whose permissions it has too', text('One of them')),
    tenant: { type: 'string', pattern: TENANT_PATTERN, default: DEFAULT_TENANT, description: 'Whose it is' },
    pins: list('Public keys that are taken, `sha256/<base64>`; none: any that the authority signed', {
      type: 'string',
      pattern: '^sha256/[A-Za-z0-9+/]{43}=$',
    }),
  }),
  required: ['name'],
}

export const tlsSchema: JsonObject = {
  type: ['object', 'null'],
  default: null,
  description: 'TLS 1.3; null: plain HTTP. The files are read again when they change',
  required: ['cert', 'key'],
  additionalProperties: false,
  properties: {
    cert: text('PEM file of the certificate and those between it and its authority'),
    key: text('PEM file of its private key'),
    client_ca: text('PEM file of the authorities whose clients are taken (mutual TLS)'),
    client_required: flag('Nobody without a certificate gets in', false),
    clients: map('URI or DNS name in the certificate → who that is', client),
  },
}

export interface TlsFileSettings {
  readonly cert: string
  readonly key: string
  readonly client_ca?: string
  readonly client_required?: boolean
  readonly clients?: {
    readonly [san: string]: {
      readonly name: string
      readonly scopes: readonly string[]
      readonly roles: readonly string[]
      readonly tenant: string
      readonly pins: readonly string[]
    }
  }
}

export function checkTls(tls: TlsFileSettings | null, roles: readonly string[], tell: Tell): void {
  if (tls === null) return
  const clients = Object.entries(tls.clients ?? {})
  if (tls.client_ca === undefined && (clients.length > 0 || tls.client_required === true))
    tell(['server', 'tls', 'client_ca'], 'nothing, expected the authorities of the clients')
  const known = [...Object.keys(BUILTIN_ROLES), ...roles]
  for (const [san, { roles: given, scopes }] of clients) {
    const at = ['server', 'tls', 'clients', san]
    if (given.length + scopes.length === 0) tell(at, 'a client that may do nothing, expected `scopes` or `roles`')
    given.forEach((role, i) => {
      if (!known.includes(role))
        tell([...at, 'roles', i], `no role is called ${JSON.stringify(role)}, expected one of ${known.join(', ')}`, nearest(role, known))
    })
  }
}

export const tlsConfig = (tls: TlsFileSettings | null): TlsSettings | null =>
  tls === null
    ? null
    : {
        cert: tls.cert,
        key: tls.key,
        clientCa: tls.client_ca ?? null,
        isClientRequired: tls.client_required === true,
        clients: Object.entries(tls.clients ?? {}).map(([san, who]) => ({ san, ...who })),
      }
