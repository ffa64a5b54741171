/** The real gateway with an agent that takes the process down when it is told to: what a fault of a library or the kernel's memory killer would do. */
import type { AgentRunner, Turn } from '#contract'
import { run } from '../../gateway/run.ts'

const saysDie = ({ envelopes }: Turn): boolean => envelopes.some(({ payload }) => 'text' in payload && payload.text.startsWith('die'))

const deadly = (agents: AgentRunner): AgentRunner => ({
  run: async (turn) => {
    if (!saysDie(turn)) return agents.run(turn)
    process.kill(process.pid, 'SIGKILL')
    return new Promise(() => undefined)
  },
  models: (agent) => agents.models(agent),
  abilities: (agent) => agents.abilities(agent),
  stop: () => agents.stop(),
})

const running = await run({
  env: process.env,
  print: (line) => void process.stdout.write(`${line}\n`),
  around: { agents: deadly },
})
process.on('SIGTERM', () => void running.stop().then(() => process.exit(0)))
