/**
 * The skills that come with the gateway, each a folder here: `skill.json`, its code, and what `vendor.json` names of installed packages,
 * so that no foreign code stands in the repository. Nothing is read before it is asked for; what a descriptor means is not judged here.
 */
import { readFileSync } from 'node:fs'
import { glob, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { JsonObject, JsonValue } from '#contract'
import { isJsonObject, textOf } from '#contract'
import type { Files } from '../bundle/bundle.ts'

export interface BundledSkill {
  readonly id: string
  /** Its descriptor as it was written. */
  describe(): JsonObject
  /** Reads it, each time anew. */
  load(): Promise<{ readonly descriptor: JsonValue; readonly files: Files }>
}

const IDS = [
  'calculator',
  'csv-query',
  'document-analysis',
  'email-validator',
  'http-fetch',
  'profile-enricher',
  'report-generation',
  'web-search',
] as const

export const bundled: readonly BundledSkill[] = IDS.map((id) => ({
  id,
  describe: () => descriptorIn(join(import.meta.dirname, id)),
  load: () => load(join(import.meta.dirname, id)),
}))

/** About a skill, not part of it. */
const ABOUT: ReadonlySet<string> = new Set(['skill.json', 'vendor.json', 'README.md'])

const descriptorIn = (folder: string): JsonObject => JSON.parse(readFileSync(join(folder, 'skill.json'), 'utf8')) as JsonObject

async function load(folder: string): Promise<{ readonly descriptor: JsonValue; readonly files: Files }> {
  const names = (await readdir(folder)).sort()
  const descriptor = descriptorIn(folder)
  const own = names.filter((name) => !ABOUT.has(name)).map(async (name) => [name, await readFile(join(folder, name))] as const)
  const foreign = names.includes('vendor.json') ? await vendored(JSON.parse(await readFile(join(folder, 'vendor.json'), 'utf8'))) : []
  return { descriptor, files: Object.fromEntries([...(await Promise.all(own)), ...foreign]) }
}

type Placed = readonly [path: string, bytes: Uint8Array]

/**
 * `files`: path in the bundle → `{"from": "package/path"}`, with `"as": "module"` for a script that wants CommonJS around it.
 * `packages`: name → patterns of the files that go to `node_modules/<name>/`.
 */
async function vendored(vendor: unknown): Promise<readonly Placed[]> {
  const { files, packages } = isJsonObject(vendor) ? vendor : {}
  const placed: Promise<readonly Placed[]>[] = []
  for (const [path, source] of Object.entries(isJsonObject(files) ? files : {})) {
    if (isJsonObject(source)) placed.push(one(path, { from: textOf(source['from']), isScript: source['as'] === 'module' }))
  }
  for (const [name, patterns] of Object.entries(isJsonObject(packages) ? packages : {})) {
    if (Array.isArray(patterns)) placed.push(several(name, patterns.map(String)))
  }
  return (await Promise.all(placed)).flat()
}

async function one(path: string, { from, isScript }: { readonly from: string; readonly isScript: boolean }): Promise<readonly Placed[]> {
  const [name = '', ...rest] = from.split('/')
  const bytes = await readFile(join(homeOf(name), ...rest))
  if (!isScript) return [[path, bytes]]
  return [
    [
      path,
      Buffer.from(
        `const module = { exports: {} }\n;(function (exports) {\n${bytes.toString()}\n}).call(globalThis, module.exports)\nexport default module.exports\n`,
      ),
    ],
  ]
}

async function several(name: string, patterns: readonly string[]): Promise<readonly Placed[]> {
  const home = homeOf(name)
  const paths: string[] = []
  for await (const path of glob([...patterns], { cwd: home })) paths.push(path.replaceAll('\\', '/'))
  return Promise.all(paths.sort().map(async (path): Promise<Placed> => [`node_modules/${name}/${path}`, await readFile(join(home, path))]))
}

/** Folder of an installed package: what comes before the rest in the path of its entry. */
function homeOf(name: string): string {
  const entry = fileURLToPath(import.meta.resolve(name)).replaceAll('\\', '/')
  const end = entry.lastIndexOf(`/node_modules/${name}/`) + `/node_modules/${name}`.length
  return entry.slice(0, end)
}
