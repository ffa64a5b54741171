/**
 * The shape of `openclaw.yaml` as JSON Schema 2020-12: the one source of its keys, defaults and descriptions. The loader, `openclaw
 * config schema` and the table in docs/configuration.md all read it. Durations (`format: duration`) and sizes (`format: bytes`)
 * are written as people write them; their `minimum` and `maximum` count seconds and bytes. What one key says
 * about another (an agent's name that must exist) is left to the loader.
 */
import type { JsonObject } from '#contract'
import { accessSchema, tenantSchema } from './access.ts'
import { configuredAgentSchema } from './agent-schema.ts'
import { identitySchema } from './identity-schema.ts'
import { secretsSchema } from './secrets.ts'
import { skillsSchema } from './skills-schema.ts'
import { tlsSchema } from './tls.ts'
import { bytes, choice, duration, flag, integer, list, map, object, text } from './schema-parts.ts'

const NAME = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'
const note = (description: string): JsonObject => ({ type: ['string', 'null'], default: null, description })

const price: JsonObject = object('Price of one model', {
  input_usd: { type: 'number', minimum: 0, description: 'US dollars per million input tokens' },
  output_usd: { type: 'number', minimum: 0, description: 'US dollars per million output tokens' },
  cache_read_usd: { type: 'number', minimum: 0, description: 'US dollars per million input tokens read from the cache' },
})

const provider: JsonObject = object('How to reach one provider', {
  api_key: { type: 'string', minLength: 1, description: 'Its key; write `${NAME}` to take it from the environment' },
  base_url: { type: 'string', format: 'uri', description: 'Where its API is; needed for all but the well-known' },
  api: { type: 'string', enum: ['chat', 'responses', 'messages'], description: 'Which of the three wire formats it speaks' },
  headers: map('Headers to send with every request', { type: 'string' }),
  models: list('Names of its models, so that they can be written without `provider/`', { type: 'string', minLength: 1 }),
  rate_limit: {
    type: 'string',
    pattern: '^[1-9][0-9]*/(s|min|h)$',
    description: 'Noted for people, not enforced yet: `500/min`',
  },
})

const match: JsonObject = object('What must hold; `*` stands for any characters', {
  channel: text('Name of the channel'),
  account: text('Account or principal of the channel'),
  sender: text('Who said it'),
  header: {
    type: ['string', 'object'],
    minLength: 1,
    additionalProperties: { type: 'string' },
    description: 'Header names with their values, or one name with `equals` beside it',
  },
  equals: text('Value of the one header that `header` names'),
  metadata: map('Dotted path in the metadata → the value there, `*` for any characters', { type: ['string', 'number', 'boolean', 'null'] }),
  topic: text('Topic by its words: `*` one word, `#` any number of words'),
})

const route: JsonObject = {
  ...object('One rule', {
    match,
    agent: text('The agent it leads to'),
    route: object('Another way to write `agent`', {
      target: text('The agent it leads to'),
      transform: choice('What every message goes through anyway', ['normalize-to-envelope']),
    }),
  }),
  required: ['match'],
}

export const configSchema: JsonObject = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'openclaw.yaml',
  ...object('Configuration of the OpenClaw gateway', {
    project: note('Name of the project, for people'),
    version: note('Version of this file, for people'),
    server: object('The HTTP server', {
      host: text('Address to listen on', '127.0.0.1'),
      port: integer('Port to listen on; 0: any free one', 8400, 0, 65_535),
      metrics_port: integer('Port for Prometheus; 0: none. Off by default when OPENCLAW_PORT is set', 9090, 0, 65_535),
      public_hosts: list('Host names under which people reach it, beside the address it listens on', { type: 'string', minLength: 1 }),
      origins: list(
        'Web origins (`https://app.example.com`) whose pages may use the API and open sockets, with a key or token; never with the cookie',
        {
          type: 'string',
          pattern: '^https?://[A-Za-z0-9.:_\\[\\]-]+$',
        },
      ),
      insecure_http: flag('Serve plain HTTP beyond loopback; say so when TLS ends in front of the gateway', false),
      tls: tlsSchema,
      trusted_proxies: list('Addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed', {
        type: 'string',
        minLength: 1,
      }),
      rate_limits: object('Requests a minute; 0: no limit', {
        per_ip: integer('From one address without a valid credential', 100, 0, 1_000_000_000),
        per_key: integer('With one credential', 1_000, 0, 1_000_000_000),
      }),
      body_limit: bytes('Largest request body', '1MiB', 1024, 268_435_456),
      max_connections: integer('Connections open at once', 20_000, 1, 1_000_000),
    }),
    ...identitySchema,
    grpc: object('The gRPC server', {
      enabled: flag('Take calls over gRPC', false),
      host: text('Address to listen on; `server.host` unless told'),
      port: integer('Port to listen on; 0: any free one', 8401, 0, 65_535),
    }),
    log: object('The log, on standard error', {
      level: choice('Least level written', ['debug', 'info', 'warn', 'error', 'silent'], 'info'),
      format: choice('One JSON object a line, or text for people', ['json', 'text'], 'json'),
    }),
    observability: object('What others see of the gateway', {
      opentelemetry: object('Traces, sent to a collector as OTLP over HTTP', {
        endpoint: {
          type: ['string', 'null'],
          format: 'uri',
          pattern: '^https?://',
          default: null,
          description: 'Where the collector is, `http://127.0.0.1:4318`; null: nothing is recorded',
        },
        service_name: text('What the gateway is called there', 'openclaw-agents'),
        sample_ratio: {
          type: 'number',
          minimum: 0,
          maximum: 1,
          default: 1,
          description: 'Share of the traces begun here that are recorded; a trace that comes with a decision keeps it',
        },
      }),
    }),
    agents: map('Agents by name; none: one called `assistant`', configuredAgentSchema, NAME),
    routes: list('Which agent gets a message; the most specific rule wins', route),
    rules: { type: 'array', items: route, description: 'Another name for `routes`' },
    fallback: {
      type: ['string', 'null'],
      description:
        'Agent for what no route of its tenant matches; null: a dead letter. Default, and for other tenants than its: the only agent of the tenant if no route leads to it, else none',
    },
    channels: map(
      'Channels by name',
      {
        type: 'object',
        description: 'One account of one kind; its further keys are those of the kind',
        properties: { kind: text('Kind of the channel; default: its name'), tenant: tenantSchema, ...accessSchema },
        additionalProperties: true,
      },
      NAME,
    ),
    llm: object('Models', {
      providers: map('Providers by name', provider, NAME),
      defaults: object('For agents that say nothing else', {
        primary: { type: ['string', 'null'], minLength: 1, default: null, description: 'Model as `provider/model`; null: what can be had' },
        fallback: list('Models tried in this order when the primary fails', { type: 'string', minLength: 1 }),
        timeout: duration('One attempt', '30s', 0.1, 86_400),
        total_timeout: duration('All attempts of one call, waiting included', '2m', 0.1, 86_400),
        max_retries: integer('Further attempts with one model', 3, 0, 20),
      }),
      prices: map('Prices by `provider/model`, over the built-in table', { ...price, required: ['input_usd', 'output_usd'] }),
    }),
    skills: skillsSchema,
    secrets: secretsSchema,
    session: object('Sessions', {
      identity_links: map('Person → accounts as `channel:sender`', { type: 'array', items: { type: 'string', pattern: '^[^:]+:.+$' } }),
    }),
    delivery: object('Retry of outgoing parts', {
      attempts: integer('Attempts before it becomes a dead letter', 5, 1, 100),
      base: duration('First wait, doubled at each attempt, with full jitter', '1s', 0.001, 86_400),
      cap: duration('Longest wait', '3m', 0.001, 86_400),
    }),
    turns: object('Turns', {
      attempts: integer('Attempts before the message becomes a dead letter', 5, 1, 100),
      base: duration('First wait, doubled at each attempt, with full jitter', '1s', 0.001, 86_400),
      cap: duration('Longest wait', '3m', 0.001, 86_400),
      max_concurrent: integer('Turns running at once, over all agents', 256, 1, 100_000),
      lease: duration('How long a session stays claimed without a sign of life', '30s', 1, 3600),
    }),
    shutdown: object('Stopping', {
      drain: duration('How long running turns may take to end', '30s', 0, 3600),
    }),
    retention: object('How long things are kept', {
      // A signed request is good for ten minutes at most, and is known as long as its message is there.
      messages: duration(
        'Messages that are done, with their turns and replies; so long a message is known when it comes again',
        '30d',
        900,
        3_153_600_000,
      ),
      audit: duration('Entries of the audit; older ones go under a seal', '90d', 3600, 3_153_600_000),
    }),
    webhooks: object('What is sent to webhooks', {
      https_only: flag('Refuse http; it is never refused for loopback that `allow_networks` opens', true),
      allow_networks: list('Networks that webhooks may reach although they are not public, like 10.0.0.0/8', {
        type: 'string',
        minLength: 1,
      }),
    }),
    audit: object('Who changed what', {
      checkpoint_file: {
        type: ['string', 'null'],
        default: null,
        description: 'Where the ends of the chains are appended each hour, best on the disk of another machine; null: only in the log',
      },
    }),
  }),
}
