/** `openclaw skills validate|test|sign`: what an author does with a folder, without a gateway. */
import { InvalidError } from '#contract'
import { gatewayDir } from '../../gateway/config/environment.ts'
import { formatFault, loadConfig } from '../../gateway/config/load.ts'
import type { SkillsSettings } from '../../skills/settings.ts'
import type { Call, World } from '../command.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { plain } from '../output.ts'
import { readSkillFolder } from '../skill/folder.ts'
import { signFolder } from '../skill/signing.ts'
import { Workbench } from '../skill/workbench.ts'
import type { TestResult } from '../skill/workbench.ts'

export async function validate(call: Call, world: World): Promise<ExitCode> {
  const folder = await readSkillFolder(call.words[0] ?? '.', world.cwd)
  const { id, version } = await Workbench.with(await settingsOf(world), (workbench) => told(workbench.validate(folder)))
  if (call.json) world.out.json({ valid: true, id, version })
  else world.out.note(`${id} ${version} is without fault.`)
  return EXIT.ok
}

export async function test(call: Call, world: World): Promise<ExitCode> {
  const { out, cwd, signal } = world
  const folder = await readSkillFolder(call.words[0] ?? '.', cwd)
  const results = await Workbench.with(await settingsOf(world), (workbench) =>
    told(
      (async () => {
        const all: TestResult[] = []
        for await (const result of workbench.test(folder, signal)) {
          all.push(result)
          if (!call.json) print(result, world)
        }
        return all
      })(),
    ),
  )
  const passed = results.filter(({ fault }) => fault === null).length
  if (call.json) out.json({ passed, failed: results.length - passed, tests: results })
  else if (results.length === 0) out.note('It has no tests. Give it some: "tests": [{"name", "input", "output"}] in skill.json.')
  else out.note(`${passed} of ${results.length} passed.`)
  return passed === results.length ? EXIT.ok : EXIT.failed
}

export async function sign(call: Call, { cwd, out }: World): Promise<ExitCode> {
  const signature = await signFolder(await readSkillFolder(call.words[0] ?? '.', cwd), call, cwd)
  if (call.json) out.json({ signature })
  else out.line(signature)
  return EXIT.ok
}

function print({ name, fault, ms, logs }: TestResult, { out }: World): void {
  const mark = fault === null ? out.style('green', 'ok  ') : out.style('red', 'FAIL')
  out.line(`${mark}  ${plain(name)} ${out.style('dim', `(${Math.round(ms)} ms)`)}`)
  if (fault === null) return
  out.line(`      ${plain(fault)}`)
  for (const line of plain(logs).trimEnd().split('\n')) if (line !== '') out.line(out.style('dim', `      | ${line}`))
}

/** What the operator of this folder says; without a configuration, what holds by default. */
async function settingsOf({ env, cwd }: World): Promise<SkillsSettings> {
  const loaded = await loadConfig({ dir: gatewayDir(env, cwd), env })
  if (loaded.ok) return loaded.config.skills
  throw new CommandError(`The configuration has faults.${loaded.faults.map((fault) => `\n  ${formatFault(fault)}`).join('')}`, EXIT.failed)
}

/** Faults with their places, which the error's own words leave out. */
async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error
    const faults = error.faults.map(({ pointer, detail }) => `\n  ${pointer} ${detail}`)
    throw new CommandError(`${error.message}${faults.join('')}`, EXIT.failed, error)
  }
}
