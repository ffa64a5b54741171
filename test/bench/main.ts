/**
 * `npm run bench [-- --only accept,turns] [--seconds 10] [--json FILE]`: the real gateway as a black box, against its
 * targets and against bare Express in the same run. Ends with 1 when a target is missed. Runs for about nine minutes.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { accept } from './accept.ts'
import { amqp } from './amqp.ts'
import { generator } from './generator.ts'
import { kafka } from './kafka.ts'
import type { Bench } from './measure.ts'
import { figures, machine, table, type Figure } from './report.ts'
import { mqtt } from './mqtt.ts'
import { restart } from './restart.ts'
import { skills } from './skills.ts'
import { soak } from './soak.ts'
import { start } from './start.ts'
import { tokens } from './token.ts'
import { turns } from './turns.ts'
import { webhooks } from './webhooks.ts'
import { ws } from './ws.ts'

const BENCHES: { readonly [name: string]: Bench } = {
  generator,
  start,
  accept,
  tokens,
  turns,
  ws,
  amqp,
  kafka,
  mqtt,
  skills,
  webhooks,
  restart,
  soak,
}

const { values } = parseArgs({
  options: { only: { type: 'string' }, seconds: { type: 'string', default: '10' }, json: { type: 'string' } },
})
const names = values.only?.split(',') ?? Object.keys(BENCHES)
const unknown = names.filter((name) => BENCHES[name] === undefined)
const seconds = Number(values.seconds)
if (unknown.length > 0 || !(seconds >= 1 && seconds <= 600)) {
  console.error(
    unknown.length > 0 ? `no such bench: ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}` : '--seconds takes 1 to 600',
  )
  process.exit(2)
}

const hooks: (() => Promise<void>)[] = []
const after = (run: () => Promise<void>): void => void hooks.push(run)
const cleanUp = async (): Promise<void> => {
  for (const run of hooks.splice(0)) await run()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void cleanUp().finally(() => process.exit(130)))

const here = machine()
const rows: Figure[] = []
for (const name of names) {
  const say = (text: string): void => console.error(`${name}: ${text}`)
  try {
    rows.push(...figures(name, (await BENCHES[name]?.({ seconds, say, after })) ?? []))
  } catch (error) {
    console.error(error)
    rows.push({ bench: name, what: 'ran to its end', value: null, unit: '', isMet: false, note: String(error).split('\n')[0] ?? '' })
  }
  await cleanUp()
}

const json = JSON.stringify({ machine: here, seconds, figures: rows }, null, 2)
if (values.json === undefined) console.log(json)
else writeFileSync(values.json, `${json}\n`)
console.log(`\n${table(here, rows)}`)
process.exit(rows.some(({ isMet }) => isMet === false) ? 1 : 0)
