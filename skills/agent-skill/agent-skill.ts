/**
 * Agent Skills (agentskills.io): a folder with a `SKILL.md` becomes an ordinary skill. Without a question it answers its instructions, asked for
 * a file its text, asked for a script what that script says; all of it in the same sandbox as any other skill. Pure but for reading `adapter.py`.
 */
import { readFile } from 'node:fs/promises'
import type { Fault, JsonObject } from '#contract'
import type { Files } from '../bundle/bundle.ts'
import { readFrontMatter } from './front-matter.ts'
import type { FrontMatter } from './front-matter.ts'

const AGENT_SKILL_FILE = 'SKILL.md'

export type AgentSkillResult =
  /** As its author could have written it, and the files with the adapter among them. */
  { readonly ok: true; readonly descriptor: JsonObject; readonly files: Files } | { readonly ok: false; readonly faults: readonly Fault[] }

export interface AgentSkillOptions {
  readonly files: Files
  /** Name of the folder they lie in, which has to be the skill's; left out: not known. */
  readonly folder?: string
}

const ENTRYPOINT = 'agent_skill.py'
const TIMEOUT_MS = 60_000
const SCRIPT = /^scripts\/.+\.(?:py|sh|bash|js|mjs|cjs)$/
const MAX_LISTED = 64
const VERSION = /^(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]{1,40})?$/

export const isAgentSkill = (files: Files): boolean => Object.hasOwn(files, AGENT_SKILL_FILE) && !Object.hasOwn(files, 'skill.json')

export async function readAgentSkill({ files, folder }: AgentSkillOptions): Promise<AgentSkillResult> {
  const bytes = Object.hasOwn(files, AGENT_SKILL_FILE) ? files[AGENT_SKILL_FILE] : undefined
  const text = bytes === undefined ? null : decode(bytes)
  if (text === null) return refused('', `There is no ${AGENT_SKILL_FILE} in UTF-8.`)
  const read = await readFrontMatter(text)
  if (!read.ok) return read
  const { head } = read
  if (folder !== undefined && folder !== head.name)
    return refused('name', `"name" is "${head.name}", and the folder is "${folder.slice(0, 100)}"; they must be the same.`)
  if (Object.hasOwn(files, ENTRYPOINT)) return refused('', `A file ${ENTRYPOINT} would be in the way of the adapter; call it otherwise.`)
  const version = versionOf(head.metadata['version'])
  if (version === null) return refused('metadata', '"metadata.version" must be a version like "1.2.0".')
  const effect = head.metadata['effect'] ?? 'once'
  if (!['none', 'idempotent', 'once'].includes(effect)) return refused('metadata', '"metadata.effect" must be none, idempotent or once.')
  const adapter = await readFile(new URL('adapter.py', import.meta.url))
  return { ok: true, descriptor: descriptorOf(head, { version, effect, files }), files: { ...files, [ENTRYPOINT]: adapter } }
}

interface Rest {
  readonly version: string
  /** Of its scripts: whoever knows better than `once` says so in `metadata.effect`. */
  readonly effect: string
  readonly files: Files
}

function descriptorOf({ name, description, compatibility }: FrontMatter, { version, effect, files }: Rest): JsonObject {
  const scripts = Object.keys(files)
    .filter((path) => SCRIPT.test(path))
    .toSorted()
  const more = scripts.length > MAX_LISTED ? ' and others' : ''
  const needs = compatibility === null ? '' : ` Compatibility: ${compatibility}`
  return {
    id: name,
    version,
    description: `${description}${needs} Call it with an empty object first: it answers its instructions and the files it has.`,
    inputs: {
      type: 'object',
      properties: {
        file: { type: 'string', minLength: 1, maxLength: 500, description: 'Path of one of its files, to read it' },
        ...(scripts.length === 0
          ? {}
          : {
              script: {
                type: 'string',
                minLength: 1,
                maxLength: 500,
                description: `Path of a script, to run it: ${scripts.slice(0, MAX_LISTED).join(', ')}${more}`,
              },
              args: { type: 'array', items: { type: 'string', maxLength: 10_000 }, maxItems: 100, description: 'Arguments of the script' },
              stdin: { type: 'string', maxLength: 500_000, description: 'What the script reads from its standard input' },
            }),
      },
      additionalProperties: false,
    },
    outputs: {
      type: 'object',
      properties: {
        instructions: { type: 'string' },
        files: { type: 'array', items: { type: 'string' }, description: 'Those it has; after a script those that it made' },
        content: { type: 'string' },
        encoding: { enum: ['utf-8', 'base64'] },
        stdout: { type: 'string' },
        stderr: { type: 'string' },
        exit_code: { type: 'integer' },
      },
      additionalProperties: false,
    },
    runtime: { language: 'python', entrypoint: ENTRYPOINT },
    effect,
    timeout_ms: TIMEOUT_MS,
  }
}

/** Semantic Versioning wants three numbers; authors often write two. */
function versionOf(text: string | undefined): string | null {
  if (text === undefined) return '1.0.0'
  const [, major, minor = '0', patch = '0', rest = ''] = VERSION.exec(text.trim()) ?? []
  return major === undefined ? null : `${Number(major)}.${Number(minor)}.${Number(patch)}${rest}`
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}

const refused = (member: string, detail: string): AgentSkillResult => ({
  ok: false,
  faults: [{ pointer: `#/SKILL.md${member === '' ? '' : `/${member}`}`, detail: `SKILL.md: ${detail}` }],
})
