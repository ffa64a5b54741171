/**
 * What `channels.<name>` says of a hook: by which secrets its sender proves itself, in which scheme, and where in a request the parts of a
 * message stand. A secret that is missing, blank or no key is a fault of the configuration: a hook never stands open.
 */
import { InvalidError } from '#contract'
import type { JsonObject } from '#contract'
import { schemes } from './scheme.ts'
import type { Scheme } from './scheme.ts'
import { parseTemplate } from './template.ts'
import type { Template } from './template.ts'

export interface Settings {
  readonly scheme: Scheme
  /** The newest first. */
  readonly keys: readonly Uint8Array[]
  readonly map: FieldMap
}

/** null: as it is without a map. */
export interface FieldMap {
  readonly sender: Template | null
  readonly text: Template | null
  readonly json: Template | null
  readonly lane: Template | null
  readonly agent: Template | null
  readonly metadata: readonly (readonly [name: string, from: Template])[]
}

const MAX_SECRETS = 5
/** Fewer characters can be guessed by whoever has one signed request. */
const MIN_SECRET_CHARS = 16
const SECRET = { type: 'string', minLength: MIN_SECRET_CHARS, pattern: '^\\S.*\\S$' }

const field = (description: string): JsonObject => ({ type: 'string', minLength: 1, maxLength: 1_000, description })

export const settingsSchema: JsonObject = {
  type: 'object',
  properties: {
    secret: {
      ...SECRET,
      type: ['string', 'array'],
      items: SECRET,
      minItems: 1,
      maxItems: MAX_SECRETS,
      description: 'What the sender signs with; a list while it is being changed.',
    },
    scheme: { type: 'string', enum: Object.keys(schemes), default: 'standard', description: 'How the sender signs.' },
    map: {
      type: 'object',
      description: 'Where the parts of a message stand: `/json/pointer`, or words with `{/json/pointer}` and `{header:name}` in them.',
      properties: {
        sender: field("Who says it. Default: the channel's name."),
        text: field('The words. Default: the body as it is.'),
        json: field('JSON Pointer to the part of the body that is the payload.'),
        lane: field('The conversation, in which order is kept. Default: the sender.'),
        agent: field('The agent that is to answer. Default: by route.'),
        metadata: {
          type: 'object',
          description: 'Further members of the metadata.',
          propertyNames: { pattern: '^(?!(headers|traceparent|media|event|of|constructor|prototype)$)[A-Za-z][A-Za-z0-9_.-]{0,63}$' },
          additionalProperties: field('Where it stands.'),
        },
      },
      additionalProperties: false,
    },
  },
  required: ['secret'],
  additionalProperties: false,
}

interface Given {
  readonly secret: string | readonly string[]
  readonly scheme: keyof typeof schemes
  readonly map?: { readonly [name in Exclude<keyof FieldMap, 'metadata'>]?: string } & {
    readonly metadata?: { readonly [name: string]: string }
  }
}

/** @throws InvalidError with what the schema cannot say */
export function readSettings(channel: string, settings: JsonObject): Settings {
  const { secret, scheme: name, map = {} } = settings as unknown as Given
  const scheme = schemes[name]
  const secrets = typeof secret === 'string' ? [secret] : secret
  // Everybody may have a public key: as a key of HMAC it would let everybody in.
  if (secrets.some((each) => /^wh[ps]k_/.test(each)))
    throw faulty(`channels.${channel}.secret`, 'a key of a pair (`whpk_`, `whsk_`), expected the secret that both sides have')
  const keys = secrets.map((each) => scheme.keyOf(each))
  if (keys.some((key) => key.byteLength === 0)) throw faulty(`channels.${channel}.secret`, 'no key follows `whsec_`, expected base64 there')
  const at = (key: string, text: string | undefined): Template | null => {
    if (text === undefined) return null
    const template = parseTemplate(text)
    if (template === null)
      throw faulty(`channels.${channel}.map.${key}`, 'expected /json/pointer, or words with {/json/pointer} and {header:name}')
    return template
  }
  const json = at('json', map.json)
  if (map.json?.startsWith('/') === false) throw faulty(`channels.${channel}.map.json`, 'expected a JSON Pointer like /data')
  return {
    scheme,
    keys,
    map: {
      sender: at('sender', map.sender),
      text: at('text', map.text),
      json,
      lane: at('lane', map.lane),
      agent: at('agent', map.agent),
      metadata: Object.entries(map.metadata ?? {}).flatMap(([key, text]) => {
        const template = at(`metadata.${key}`, text)
        return template === null ? [] : [[key, template] as const]
      }),
    },
  }
}

const faulty = (pointer: string, detail: string): InvalidError =>
  new InvalidError('The configuration has a fault.', { code: 'CONFIG_INVALID', faults: [{ pointer, detail: `${pointer}: ${detail}` }] })
