/** `openclaw skills promote|rollback|canary|enable|disable|deprecate|remove`: what operators do with versions. */
import type { JsonObject } from '#contract'
import type { Call, World } from '../command.ts'
import { documentIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { Remote } from '../remote.ts'
import type { Ask } from '../remote.ts'
import { skillPath, versionPath } from '../skill-path.ts'
import { trackText } from './skill-list.ts'

export async function promote(call: Call, world: World): Promise<ExitCode> {
  return await change(call, world, `${versionOf(call)}/promote`, { method: 'POST' }, trackTold(call))
}

export async function rollback(call: Call, world: World): Promise<ExitCode> {
  const [id = '', major = ''] = call.words
  if (!/^\d{1,6}$/.test(major)) throw new CommandError(`"${major}" is no major version, expected a number like 1.`, EXIT.usage)
  return await change(call, world, `${skillPath(id)}/rollback`, { method: 'POST', body: { major: Number(major) } }, trackTold(call))
}

export async function canary(call: Call, world: World): Promise<ExitCode> {
  const [id = '', version = '', given = ''] = call.words
  const weight = given.endsWith('%') ? Number(given.slice(0, -1)) / 100 : Number(given)
  if (given === '' || !(weight >= 0 && weight <= 1))
    throw new CommandError(`"${given}" is no weight, expected 0.1 or 10%, and 0 to end it.`, EXIT.usage)
  return await change(call, world, `${skillPath(id)}/canary`, { method: 'PUT', body: { version, weight } }, trackTold(call))
}

export async function enable(call: Call, world: World): Promise<ExitCode> {
  return await change(call, world, `${versionOf(call)}/enable`, { method: 'POST' }, () => `${nameOf(call)} can be called again.`)
}

export async function disable(call: Call, world: World): Promise<ExitCode> {
  return await change(call, world, `${versionOf(call)}/disable`, { method: 'POST' }, () => `${nameOf(call)} can be called no more.`)
}

export async function deprecate(call: Call, world: World): Promise<ExitCode> {
  const note = call.words[2]
  const ask: Ask = { method: 'POST', body: note === undefined ? {} : { note } }
  return await change(
    call,
    world,
    `${versionOf(call)}/deprecate`,
    ask,
    () => `${nameOf(call)} is deprecated; it can be called nevertheless.`,
  )
}

export async function remove(call: Call, world: World): Promise<ExitCode> {
  const [id = '', version] = call.words
  const path = version === undefined ? skillPath(id) : versionPath(id, version)
  return await change(call, world, path, { method: 'DELETE' }, () => `${nameOf(call)} is removed.`)
}

async function change(call: Call, world: World, path: string, ask: Ask, told: (answer: JsonObject) => string): Promise<ExitCode> {
  const { body } = await (await Remote.find(world)).ask(path, ask)
  if (call.json) world.out.json(body ?? { id: call.words[0] ?? '', version: call.words[1] ?? null, status: 'removed' })
  else world.out.note(told(documentIn(body)))
  return EXIT.ok
}

const versionOf = ({ words: [id = '', version = ''] }: Call): string => versionPath(id, version)
const nameOf = ({ words: [id = '', version] }: Call): string => (version === undefined ? id : `${id} ${version}`)
const trackTold =
  ({ words: [id = ''] }: Call) =>
  (track: JsonObject): string =>
    `${id}, major ${text(track['major'])}: ${trackText(track)}.`
