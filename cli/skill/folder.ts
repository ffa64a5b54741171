/**
 * A skill as it lies in a folder: `skill.json` and the files beside it, or the `SKILL.md` of an agent skill. Only reads, within the bounds that a bundle has; what a good
 * skill is, the gateway's own parser says.
 */
import { lstat, readFile, readdir } from 'node:fs/promises'
import { basename, join, relative, resolve, sep } from 'node:path'
import type { JsonValue } from '#contract'
import { isAgentSkill, readAgentSkill } from '../../skills/agent-skill/agent-skill.ts'
import { MAX_BUNDLE_BYTES, MAX_FILES } from '../../skills/bundle/bundle.ts'
import type { Files } from '../../skills/bundle/bundle.ts'
import { CommandError, EXIT } from '../exit.ts'

const DESCRIPTOR = 'skill.json'

export interface SkillFolder {
  readonly dir: string
  /** As it was written. */
  readonly descriptor: JsonValue
  readonly files: Files
}

/** Left behind by editors and interpreters, or put there by package managers: no part of a skill. */
const IGNORED = /^(?:\..*|__pycache__|node_modules|.*\.pyc|.*~)$/

/** @throws CommandError, with what is wrong in words for whoever wrote it */
export async function readSkillFolder(given: string, cwd: string): Promise<SkillFolder> {
  const dir = resolve(cwd, given)
  await checkNames(dir)
  const all = await readFiles(dir)
  if (isAgentSkill(all)) return await agentSkill(dir, all)
  const { [DESCRIPTOR]: written, ...files } = all
  if (written === undefined) throw noSkill(dir)
  return { dir, descriptor: parse(Buffer.from(written).toString(), dir), files }
}

const noSkill = (dir: string): CommandError =>
  new CommandError(`There is no ${DESCRIPTOR} in ${dir}. "openclaw skills init <folder>" begins a skill.`, EXIT.missing)

/** Before all its files are read: it may be a folder of something else. */
async function checkNames(dir: string): Promise<void> {
  if (!(await list(dir)).some((name) => name === DESCRIPTOR || name === 'SKILL.md')) throw noSkill(dir)
}

async function agentSkill(dir: string, all: Files): Promise<SkillFolder> {
  const read = await readAgentSkill({ files: all, folder: basename(dir) })
  if (read.ok) return { dir, descriptor: read.descriptor, files: read.files }
  throw new CommandError(`SKILL.md in ${dir} has faults.${read.faults.map(({ detail }) => `\n  ${detail}`).join('')}`, EXIT.failed)
}

async function readFiles(dir: string): Promise<Files> {
  const files: { [path: string]: Uint8Array } = {}
  let bytes = 0
  for await (const path of walk(dir)) {
    const name = relative(dir, path).split(sep).join('/')
    const content = await readFile(path)
    files[name] = content
    bytes += content.length
    if (bytes > MAX_BUNDLE_BYTES)
      throw new CommandError(`${dir} has more than ${MAX_BUNDLE_BYTES / 1_048_576} MiB; a skill may not.`, EXIT.failed)
    if (Object.keys(files).length > MAX_FILES)
      throw new CommandError(`${dir} has more than ${MAX_FILES} files; a skill may not.`, EXIT.failed)
  }
  return files
}

const list = (dir: string): Promise<readonly string[]> =>
  readdir(dir).catch(() => {
    throw new CommandError(`${dir} is no folder that can be read.`, EXIT.missing)
  })

async function* walk(dir: string): AsyncGenerator<string> {
  const names = await list(dir)
  for (const name of names.toSorted()) {
    if (IGNORED.test(name)) continue
    const path = join(dir, name)
    const entry = await lstat(path)
    if (entry.isDirectory()) yield* walk(path)
    else if (entry.isFile()) {
      if (entry.size > MAX_BUNDLE_BYTES) throw new CommandError(`${path} is larger than a whole skill may be.`, EXIT.failed)
      yield path
    } else throw new CommandError(`${path} is neither a file nor a folder; a skill has no links.`, EXIT.failed)
  }
}

function parse(json: string, dir: string): JsonValue {
  try {
    return JSON.parse(json) as JsonValue
  } catch (error) {
    throw new CommandError(`${join(dir, DESCRIPTOR)} is not JSON: ${error instanceof Error ? error.message : String(error)}`, EXIT.failed)
  }
}
