/** The runner that the hub is given: commands first, then the loop, with the models the agent names or the default ones. */
import type { Ability, AgentDefinition, AgentRunner, Clock, Ending, Log, Metrics, Turn } from '#contract'
import { runCommand } from './command.ts'
import { runTurn } from './loop.ts'
import { chooseDefault, probeOllama, wantsProbe } from './models/choice.ts'
import { splitName } from './models/config.ts'
import type { Env, ModelsConfig } from './models/config.ts'
import { Router } from './models/router.ts'

export interface AgentsOptions {
  readonly models: ModelsConfig
  readonly env: Env
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
  readonly random?: () => number
  /** A line about the gateway, for `/status`. */
  readonly status?: () => string
  /** Looks for a local Ollama: one of its models, or null. */
  readonly probe?: () => Promise<string | null>
}

export class Agents implements AgentRunner {
  readonly #options: AgentsOptions
  readonly #router: Router
  #models: ModelsConfig
  #probing: Promise<void> | null = null
  #ollama: string | null = null

  constructor(options: AgentsOptions) {
    this.#options = options
    this.#models = options.models
    this.#router = new Router({
      config: options.models,
      env: options.env,
      log: options.log,
      clock: options.clock,
      metrics: options.metrics,
      random: options.random ?? Math.random,
    })
  }

  /** Looks for a local Ollama, if nothing else is configured; at most 150 ms, and nobody has to wait for it. */
  start(): Promise<void> {
    return (this.#probing ??= this.#probe())
  }

  async run(turn: Turn): Promise<Ending> {
    if (turn.agent.models.length === 0) await this.start()
    const chain = this.models(turn.agent)
    const command = await runCommand(turn, { chain, status: this.#options.status?.() ?? '' })
    if (command !== null) return command
    return runTurn(turn, {
      chain,
      summarisers: chain.filter((name) => splitName(name).provider !== 'builtin'),
      complete: (ask) => this.#router.complete(ask),
    })
  }

  models(agent: AgentDefinition): readonly string[] {
    return agent.models.length > 0 ? agent.models : chooseDefault(this.#models, this.#options.env, this.#ollama)
  }

  abilities(agent: AgentDefinition): readonly Ability[] {
    const [first = [], ...others] = this.models(agent).map((name) => this.#router.abilities(name))
    return first.filter((ability) => others.every((each) => each.includes(ability)))
  }

  /** Other keys, addresses, prices and defaults, from the next call on. */
  reconfigure(models: ModelsConfig): void {
    this.#models = models
    this.#router.reconfigure(models)
  }

  async stop(): Promise<void> {
    await this.#probing
    await this.#router.close()
  }

  async #probe(): Promise<void> {
    const { env, probe = () => probeOllama(env) } = this.#options
    if (wantsProbe(this.#models, env)) this.#ollama = await probe()
  }
}
