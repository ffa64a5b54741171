/**
 * The descriptor as its author writes it, as JSON Schema 2020-12: for documentation, for editors, and as the first of the checks. What a
 * schema cannot say (how name, version and files go together, what the skill's own schemas may cost) is in `descriptor.ts`.
 */
import type { JsonObject } from '#contract'
import { ID_PATTERN } from './id.ts'

const MAX_TIMEOUT_MS = 300_000

const schemaOrShorthand = (what: string): JsonObject => ({
  type: 'object',
  description: `${what}: a JSON Schema 2020-12, or in short \`{name: {type, description}}\`, where every member is required unless it says \`"optional": true\``,
})
const amount = (description: string, unit: 'integer' | 'number', bounds: readonly [number, number], fallback: number): JsonObject => ({
  type: unit,
  minimum: bounds[0],
  maximum: bounds[1],
  default: fallback,
  description,
})
const part = (description: string, properties: JsonObject, required: readonly string[] = []): JsonObject => ({
  type: 'object',
  description,
  properties,
  ...(required.length > 0 && { required }),
  additionalProperties: false,
})
const texts = (description: string, items: JsonObject, maxItems: number): JsonObject => ({
  type: 'array',
  description,
  items: { type: 'string', ...items },
  maxItems,
})

export const descriptorSchema: JsonObject = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Descriptor of a skill',
  ...part(
    'The file `skill.json` of a skill',
    {
      $schema: { type: 'string', maxLength: 500, description: 'Address of this schema, for editors' },
      id: { type: 'string', pattern: ID_PATTERN, description: 'Its name: lower-case letters, digits, `.`, `_`, `-`; at most 64' },
      version: { type: 'string', maxLength: 64, description: 'Semantic Versioning 2.0, without build metadata. A version never changes' },
      description: { type: 'string', maxLength: 4_000, description: 'What it does and when to use it, for people and models' },
      inputs: schemaOrShorthand('The input, always an object'),
      outputs: schemaOrShorthand('The output'),
      runtime: part(
        'What runs it',
        {
          language: {
            enum: ['python', 'node', 'shell', 'javascript'],
            description: '`javascript` is ECMAScript without the APIs of Node, and needs no container',
          },
          entrypoint: { type: 'string', maxLength: 255, description: 'Path of the file that begins, relative to the folder of the skill' },
        },
        ['language', 'entrypoint'],
      ),
      effect: {
        enum: ['none', 'idempotent', 'once'],
        default: 'once',
        description:
          'What it changes outside. `none`: nothing, it may be run again. `idempotent`: it may be run again with the same key. `once`: it is never run twice',
      },
      timeout_ms: amount('Milliseconds that a call may take', 'integer', [50, MAX_TIMEOUT_MS], 10_000),
      resources: part('What it may use', {
        memory_mb: amount('MiB of memory', 'integer', [16, 2_048], 256),
        cpus: amount('Processor cores', 'number', [0.1, 4], 1),
        pids: amount('Processes and threads at once', 'integer', [8, 256], 64),
        tmp_mb: amount('MiB in /tmp', 'integer', [1, 512], 32),
      }),
      network: part('Where it may go; left out: nowhere', {
        allow: texts(
          'Hosts as `api.example.com`, `*.example.com` or `host:port`',
          {
            minLength: 1,
            maxLength: 300,
          },
          64,
        ),
      }),
      secrets: texts('Names of secrets that the operator gives it', { pattern: '^[A-Z][A-Z0-9_]{0,63}$' }, 32),
      dependencies: {
        type: 'string',
        maxLength: 255,
        description: '`requirements.txt` with hashes, or `package-lock.json`, in the folder',
      },
      tests: {
        type: 'array',
        description: 'Run in the sandbox before it is registered',
        maxItems: 50,
        items: part(
          'One call and what must come of it: `output` or `error`',
          {
            name: { type: 'string', minLength: 1, maxLength: 200, description: 'What it shows' },
            input: { description: 'Input of the call' },
            output: { description: 'Output that must come, compared as JSON' },
            error: { type: 'string', description: 'Code of the failure that must come, like `invalid_input`' },
          },
          ['name', 'input'],
        ),
      },
    },
    ['id', 'version', 'inputs', 'outputs', 'runtime'],
  ),
}
