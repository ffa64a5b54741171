/**
 * `openclaw.yaml` as a tree with every reference filled in: first those of the block `secrets`, which says where the others are, then all others
 * at once. What the tree says is checked by the loader.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secrets } from '../secrets/secrets.ts'
import { check } from './check.ts'
import { checkSecrets, secretsSchema, secretsSettings } from './secrets.ts'
import type { SecretsBlock } from './secrets.ts'
import { childPath, emptyMap, member, placeOf } from './tree.ts'
import type { ConfigFault, Node, Place, Tell } from './tree.ts'
import { parseYaml } from './yaml.ts'
import type { ParsedYaml, YamlTree } from './yaml.ts'

export const CONFIG_FILE = 'openclaw.yaml'

export interface Read extends YamlTree {
  /** There is nothing to check. */
  readonly unreadable: boolean
}

export async function readTree(dir: string, secrets: Secrets): Promise<Read> {
  const start: Place = { file: CONFIG_FILE, line: 1, column: 1 }
  const empty = { tree: emptyMap(start), secrets: [] }
  const text = await readText(join(dir, CONFIG_FILE))
  if (typeof text === 'string') {
    const parsed = await parseYaml({ file: CONFIG_FILE, text })
    return 'faults' in parsed
      ? { ...empty, faults: parsed.faults, unreadable: true }
      : { ...(await fill(parsed, secrets)), unreadable: false }
  }
  if (text.code !== 'ENOENT') {
    return {
      ...empty,
      faults: [{ path: '', ...start, message: `cannot be read (${text.code}), expected a readable file` }],
      unreadable: true,
    }
  }
  const other = await readText(join(dir, 'openclaw.yml'))
  if (typeof other === 'string') {
    const message = `is not read, expected the name ${CONFIG_FILE}; rename it`
    return { ...empty, faults: [{ path: '', file: 'openclaw.yml', line: 1, column: 1, message }], unreadable: true }
  }
  await secrets.configure(secretsSettings(blockOf(empty.tree).block))
  return { ...empty, faults: [], unreadable: false }
}

async function fill(parsed: ParsedYaml, secrets: Secrets): Promise<YamlTree> {
  const own = new Set(parsed.references('secrets'))
  const said = await secrets.resolveWithoutVault([...own])
  const first = parsed.read((reference) => said.get(reference))
  const { block, ...checked } = blockOf(first.tree)
  const isUnread = hasFault(first, 'secrets')
  const faults = isUnread ? [] : checked.faults
  const others = parsed.references().filter((reference) => !own.has(reference))
  // With the block at fault nothing can be said about what may lie in Vault; the others are asked for all the same.
  const isLost = faults.length > 0 || isUnread
  await secrets.configure(isLost ? { vault: null, refreshMs: 0 } : secretsSettings(block))
  const answers = await secrets.resolve(others)
  const read = parsed.read((reference) => {
    const answer = said.get(reference) ?? answers.get(reference)
    return isLost && !own.has(reference) && answer?.is !== 'value' ? undefined : answer
  })
  return { ...read, faults: [...read.faults, ...faults.filter(({ path }) => read.faults.every((other) => other.path !== path))] }
}

const hasFault = ({ faults }: YamlTree, root: string): boolean => faults.some(({ path }) => path === root || path.startsWith(`${root}.`))

/** Faults of single keys are told by the check of the whole; these are about keys beside each other. */
function blockOf(tree: Node): { readonly block: SecretsBlock; readonly faults: readonly ConfigFault[] } {
  const given = member(tree, 'secrets')?.node ?? emptyMap(tree.place)
  const checked = check(given, secretsSchema, 'secrets')
  const block = checked.settings as unknown as SecretsBlock
  if (checked.faults.length > 0) return { block, faults: checked.faults }
  const faults: ConfigFault[] = []
  const tell: Tell = (at, message) => faults.push({ path: at.reduce<string>(childPath, ''), ...placeOf(tree, at), message })
  checkSecrets(block, tell)
  return { block, faults }
}

async function readText(file: string): Promise<string | { readonly code: string }> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    return { code: error instanceof Error && 'code' in error ? String(error.code) : 'unknown' }
  }
}
