/** Skills, their versions and tracks as the API shows them: the documents, and the schemas that describe them. */
import { isoTime } from '#contract'
import type { JsonObject, SandboxReport, SkillDescriptor, SkillRecord, SkillTrack, SkillView } from '#contract'
import { COUNT, FLAG, TEXT, TEXT_OR_NULL, TIME, objectOf } from './schema.ts'

const TEXTS: JsonObject = { type: 'array', items: TEXT }
/** Of a track's weight: calls are dealt out in ten-thousandths. */
const WHOLE = 10_000

export const TRACK: JsonObject = objectOf({
  major: COUNT,
  stable: TEXT,
  previous: { ...TEXT_OR_NULL, description: 'Stable before this one.' },
  canary: TEXT_OR_NULL,
  weight: { type: 'number', minimum: 0, maximum: 1, description: "Part of the major's calls that the canary gets." },
  note: { ...TEXT_OR_NULL, description: 'Why the last rollback happened.' },
  updated_at: TIME,
})

const VERSION_MEMBERS: JsonObject = {
  id: TEXT,
  version: TEXT,
  digest: TEXT,
  status: { enum: ['enabled', 'disabled'] },
  deprecated: { ...TEXT_OR_NULL, description: 'What to use instead, and why; null: it is not.' },
  signed: FLAG,
  created_at: TIME,
  created_by: TEXT,
}
export const VERSION: JsonObject = objectOf(VERSION_MEMBERS)
export const WHOLE_VERSION: JsonObject = objectOf({
  ...VERSION_MEMBERS,
  descriptor: { type: 'object', description: 'As it was registered.' },
  files: { type: 'array', items: objectOf({ path: TEXT, bytes: COUNT }) },
})

const DESCRIPTOR_MEMBERS: JsonObject = {
  description: TEXT,
  language: { enum: ['python', 'node', 'shell', 'javascript', 'gateway'] },
  effect: { enum: ['none', 'idempotent', 'once'] },
  timeout_ms: COUNT,
  network: { ...TEXTS, description: 'Hosts that it asks for.' },
  secrets: { ...TEXTS, description: 'Names of the secrets that it asks for.' },
  inputs: { type: 'object', description: 'JSON Schema.' },
  outputs: { type: 'object', description: 'JSON Schema.' },
}
export const SKILL: JsonObject = objectOf({
  id: TEXT,
  current: {
    description: 'What a call without a version gets; null: nothing of it is enabled.',
    oneOf: [objectOf({ version: TEXT, ...DESCRIPTOR_MEMBERS }), { type: 'null' }],
  },
  match: { ...TEXT_OR_NULL, description: 'What a call with the version that was asked for gets; null: none was asked for.' },
  versions: { ...TEXTS, description: 'All, newest first.' },
  tracks: { type: 'array', items: TRACK },
})
export const VALIDATED: JsonObject = objectOf({ valid: { const: true }, id: TEXT, version: TEXT, ...DESCRIPTOR_MEMBERS })
export const SANDBOX: JsonObject = objectOf({
  name: TEXT,
  languages: TEXTS,
  available: FLAG,
  reason: { ...TEXT_OR_NULL, description: 'Why not, and what to do about it.' },
  isolates: TEXTS,
  leaves: { ...TEXTS, description: 'What it does not hold off.' },
  warnings: TEXTS,
  facts: { type: 'object' },
})

export function skillDocument(view: SkillView, match: string | null = null): JsonObject {
  const { id, current, versions, tracks } = view
  return {
    id,
    current: current === null ? null : { version: current.version, ...descriptorDocument(current) },
    match,
    versions: versions.map(({ version }) => version),
    tracks: tracks.map(trackDocument),
  }
}

export function descriptorDocument(descriptor: SkillDescriptor): JsonObject {
  const { description, runtime, effect, timeoutMs, network, secrets, inputs, outputs } = descriptor
  return {
    description,
    language: runtime.language,
    effect,
    timeout_ms: timeoutMs,
    network: network.allow,
    secrets,
    inputs,
    outputs,
  }
}

export function trackDocument({ major, stable, previous, canary, weight, note, updatedAt }: SkillTrack): JsonObject {
  return { major, stable, previous, canary, weight: weight / WHOLE, note, updated_at: isoTime(updatedAt) }
}

/** 0…1 → what the store counts in. */
export const weightOf = (part: number): number => Math.round(part * WHOLE)

export function versionDocument(record: SkillRecord): JsonObject {
  const { id, version, digest, isEnabled, deprecated, signature, createdAt, createdBy } = record
  return {
    id,
    version,
    digest,
    status: isEnabled ? 'enabled' : 'disabled',
    deprecated,
    signed: signature !== null,
    created_at: isoTime(createdAt),
    created_by: createdBy,
  }
}

export function sandboxDocument({ isAvailable, ...report }: SandboxReport): JsonObject {
  return { ...report, available: isAvailable }
}
