/** What an operator decides about skills: `skills:` in `openclaw.yaml`, checked. */

/**
 * How much of a sandbox two calls share. fresh: nothing, a container is used once. lease: a container stays with one tenant, skill and
 * set of secrets, and each call has a process of its own. resident: the process stays too.
 */
export type Grade = 'fresh' | 'lease' | 'resident'

export interface SkillsSettings {
  /** What runs Python, Node and shell. auto: Docker where an engine answers, else bubblewrap. */
  readonly sandbox: 'auto' | 'docker' | 'bubblewrap' | 'none'
  readonly docker: {
    /** Path of the engine's socket, Docker's or Podman's; null: `DOCKER_HOST`, else the usual places. */
    readonly socket: string | null
    readonly image: string
    /** An OCI runtime that the engine knows, `runsc` or `kata`; null: its default. */
    readonly runtime: string | null
    /** Containers at once, parked ones included. */
    readonly maxContainers: number
    /** Parked ahead for each profile, at least. */
    readonly parked: number
  }
  readonly grade: Grade
  /** Runs at once, and how many more may wait for so long. */
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly queueMs: number
  readonly signatures: {
    readonly policy: 'off' | 'warn' | 'enforce'
    /** `kid` → public key, PEM (SPKI) or JWK as JSON. */
    readonly keys: { readonly [kid: string]: string }
  }
  /** Ids of skills that are run before and after every invocation. */
  readonly hooks: { readonly before: readonly string[]; readonly after: readonly string[] }
  /** Addresses that are not public and may be reached nevertheless, as `host:port` or `address:port`. */
  readonly privateHosts: readonly string[]
  /** The operator's own store of packages, from which lock files are served; null: `wheelhouse` and `npm-cache` in `.openclaw`. */
  readonly dependencies: { readonly wheelhouse: string | null; readonly npmCache: string | null }
  readonly entries: { readonly [id: string]: SkillEntry }
}

/** What the operator says about one skill. */
export interface SkillEntry {
  readonly isEnabled: boolean
  /** Hosts beside those of its descriptor; null: only those. */
  readonly network: readonly string[] | null
  /** Values of the secrets that its descriptor names. */
  readonly secrets: { readonly [name: string]: string }
  readonly grade: Grade | null
  /** Whose calls get hosts, secrets and grade; `*`: those of all. Whether it is on is said for all. */
  readonly tenants: readonly string[]
}

export const defaultSettings: SkillsSettings = {
  sandbox: 'auto',
  docker: { socket: null, image: 'openclaw/skill-runtime:1', runtime: null, maxContainers: 16, parked: 2 },
  grade: 'lease',
  maxConcurrent: 32,
  maxQueued: 500,
  queueMs: 30_000,
  signatures: { policy: 'off', keys: {} },
  hooks: { before: [], after: [] },
  privateHosts: [],
  dependencies: { wheelhouse: null, npmCache: null },
  entries: {},
}
