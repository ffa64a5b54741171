/** The part of `openclaw.yaml` that is about skills. */
import { DEFAULT_TENANT } from '#contract'
import type { JsonObject } from '#contract'
import { choice, duration, flag, integer, list, map, object, text } from './schema-parts.ts'

const ID = '^[a-z0-9][a-z0-9._-]{0,63}$'
const GRADES = ['fresh', 'lease', 'resident']
const hosts = (description: string): JsonObject => list(description, { type: 'string', minLength: 1 })
const folder = (description: string): JsonObject => ({ type: ['string', 'null'], default: null, description })

const entry: JsonObject = object('What one skill is given', {
  tenants: list(
    'Whose calls get what is given here; `*`: those of all. A tenant that is not named and registers a skill of this id gets nothing of it',
    { type: 'string', pattern: '^([a-z0-9][a-z0-9-]{0,62}|[*])$' },
    [DEFAULT_TENANT],
  ),
  enabled: flag('Whether it can be called, by any tenant', true),
  network: object('Where it may go, beside what its descriptor says', {
    allow: hosts('Hosts as `api.example.com`, `*.example.com` or `host:port`; `*` for all public ones'),
  }),
  secrets: map('Values of the secrets that its descriptor names', { type: 'string', minLength: 1 }),
  grade: choice('As `skills.grade`, for this one', GRADES),
})

export const skillsSchema: JsonObject = object('Skills', {
  sandbox: choice(
    'What runs Python, Node and shell; auto: Docker where an engine answers, else bubblewrap',
    ['auto', 'docker', 'bubblewrap', 'none'],
    'auto',
  ),
  docker: object('The container engine', {
    socket: {
      type: ['string', 'null'],
      default: null,
      description: "Path of its socket, Docker's or Podman's; null: `DOCKER_HOST`, else the usual places",
    },
    image: text('Image that skills run in; `docker/build.sh` makes it', 'openclaw/skill-runtime:1'),
    runtime: {
      type: ['string', 'null'],
      default: null,
      description: "OCI runtime that the engine knows, like `runsc` or `kata`; null: the engine's default",
    },
    max_containers: integer('Containers at once, parked ones included', 16, 1, 1000),
    parked: integer('Containers made ready ahead for each profile', 2, 0, 100),
  }),
  grade: choice('What two calls share: nothing (fresh), a container (lease), a process (resident)', GRADES, 'lease'),
  max_concurrent: integer('Runs at once', 32, 1, 10_000),
  queue: integer('Runs that may wait', 500, 0, 100_000),
  queue_time: duration('How long a run may wait', '30s', 0.01, 3600),
  signatures: object('Signed bundles', {
    policy: choice('What becomes of bundles without a good signature', ['off', 'warn', 'enforce'], 'off'),
    keys: map('Name of a key (`kid`) → its public half, PEM or JWK', { type: 'string', minLength: 1 }),
  }),
  hooks: object('Skills that are run around every other', {
    before: list('Ids of those that see and may change or refuse the input', { type: 'string', pattern: ID }),
    after: list('Ids of those that are told the outcome', { type: 'string', pattern: ID }),
  }),
  private_hosts: hosts('Addresses in your own network that skills may reach, as `host:port`'),
  dependencies: object('Packages that lock files of skills name; they are never fetched from a network', {
    wheelhouse: folder('Folder with wheels; null: `wheelhouse` in `.openclaw`'),
    npm_cache: folder("npm's cache, or a folder with tarballs; null: `npm-cache` in `.openclaw`"),
  }),
  entries: map('Skills by id', entry, ID),
})
