/** `openclaw skills runtime`: what skills run in at the gateway, what that isolates, and what it does not. */
import type { JsonObject } from '#contract'
import type { Call, World } from '../command.ts'
import { documentIn, rowsIn, text, wordsIn } from '../document.ts'
import { EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import type { Output } from '../output.ts'
import { plain } from '../output.ts'
import { Remote } from '../remote.ts'

export async function runtime(call: Call, world: World): Promise<ExitCode> {
  const page = await (await Remote.find(world)).get('/v1/skills/runtime')
  if (call.json) world.out.json(page)
  else for (const report of rowsIn(page['data'])) print(report, world.out)
  return EXIT.ok
}

function print(report: JsonObject, out: Output): void {
  const isAvailable = report['available'] === true
  const state = isAvailable ? out.style('green', 'available') : out.style('yellow', 'not available')
  out.line(`${out.style('bold', plain(text(report['name'])))} (${wordsIn(report['languages']).join(', ')}): ${state}`)
  if (!isAvailable) out.line(`  ${plain(text(report['reason']))}`)
  for (const [title, member] of [
    ['holds off', 'isolates'],
    ['does not hold off', 'leaves'],
    ['beware', 'warnings'],
  ] as const) {
    const sentences = wordsIn(report[member])
    if (!isAvailable || sentences.length === 0) continue
    out.line(out.style('dim', `  ${title}:`))
    for (const sentence of sentences) out.line(`    ${plain(sentence)}`)
  }
  const facts = Object.entries(isAvailable ? documentIn(report['facts']) : {})
  if (facts.length > 0) out.line(out.style('dim', `  ${plain(facts.map(([name, value]) => `${name} ${text(value)}`).join(', '))}`))
}
