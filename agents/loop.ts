/**
 * The loop: think, act, observe, until the model has nothing more to do. Each model call is one durable step, each skill
 * call another, so that a run after a crash recalls what is done and goes on from there. Nothing here depends on time or chance.
 */
import { hash } from 'node:crypto'
import type { AnswerFormat, ClientChoice, ClientTurn, Ending, Message, SkillCall, Turn } from '#contract'
import { FIRST_STEP, clientTurnOf, messagesOf, toolText } from '#contract'
import { compact } from './compaction.ts'
import { fit, named, paired, tokensOf, tokensOfText } from './context.ts'
import { ModelFault } from './models/fault.ts'
import { toolName, toolOf } from './models/model.ts'
import type { Completion, Prompt, Tool } from './models/model.ts'
import type { Answer, Ask } from './models/router.ts'
import { decodeResult, encodeResult } from './step-result.ts'
import type { StepResult } from './step-result.ts'

export interface LoopOptions {
  /** `provider/model`, tried in this order. */
  readonly chain: readonly string[]
  /** Who writes summaries; empty: nobody, old messages are cut. */
  readonly summarisers: readonly string[]
  complete(ask: Ask): Promise<Answer>
}

const USUAL_PROMPT = 'You are a helpful assistant who answers in a messaging app. Be brief and exact. Use CommonMark.'
const LAST_CALL = 'You have no more steps in this turn: answer now with what you know, and say what is left undone.'
const OUT_OF_STEPS = 'I stopped because this took more steps than I am allowed. Ask me to go on if you want more.'
const OUT_OF_TOKENS = 'I ran out of room before I could answer. Ask for something shorter, or in parts.'

export async function runTurn(turn: Turn, options: LoopOptions): Promise<Ending> {
  const speech = new Speech(turn)
  try {
    return await converse(turn, speech, options)
  } catch (error) {
    // Whoever runs this turn again says it all from the beginning.
    speech.void()
    throw error
  }
}

async function converse(turn: Turn, speech: Speech, options: LoopOptions): Promise<Ending> {
  const { limits } = turn.agent
  const given = turn.envelopes.flatMap((envelope) => clientTurnOf(envelope) ?? [])
  const { choice = 'auto', format = null } = given.at(-1) ?? {}
  const tools = toolsOf(turn, given, choice)
  const own = turn.agent.prompt.trim() === '' ? USUAL_PROMPT : turn.agent.prompt
  const system = [own, ...given.map(({ instructions }) => instructions)].filter((text) => text !== '').join('\n\n')
  const fixedTokens = tokensOfText(system) + tokensOfText(JSON.stringify(tools))
  // However long prompt and tools are, something of the conversation has to fit.
  const said = turn.envelopes.flatMap(messagesOf)
  const memory: Memory = {
    ...recalled(turn.history, said),
    maxTokens: Math.max(limits.maxContextTokens - fixedTokens, Math.floor(limits.maxContextTokens / 4)),
    // What a client remembers itself is its own to shorten: cut, and not summed up.
    isCompacted: said.some(({ role }) => role === 'assistant'),
  }
  if (!memory.isCompacted && memory.history.length > 0 && tokensOf(memory.history) + tokensOf(memory.current) > memory.maxTokens) {
    await shrink(turn, memory, options)
  }
  for (let n = 1; ; n++) {
    turn.signal.throwIfAborted()
    // A call that is asked for ends the turn by itself, so the only step may be spent on it.
    const isLast = n >= limits.maxSteps && (n > 1 || choice === 'auto')
    const prompt = { system: isLast && n > 1 ? `${system}\n\n${LAST_CALL}` : system, tools, isLast, given, choice, format }
    const result = await think(turn, { ...options, n, memory, speech, prompt })
    memory.current.push(...result.messages)
    if (result.ending !== null) return result.ending
    for (const call of result.planned) {
      const outcome = await turn.skill(call)
      memory.current.push({ role: 'tool', call: call.id, skill: call.skill, text: toolText(outcome) })
    }
    if (result.asked.length > 0) return askingFor(result.asked, result.messages)
  }
}

/**
 * The client's own come first: a call is never made here that the client means to make. Where it wants one to be made, the model is offered nothing
 * beside them, or a skill would be taken for it.
 */
function toolsOf(turn: Turn, given: readonly ClientTurn[], choice: ClientChoice): readonly Tool[] {
  const tools = new Map<string, Tool>()
  for (const tool of [...given.flatMap((each) => each.tools), ...(choice === 'auto' ? turn.skills.map(toolOf) : [])])
    if (!tools.has(tool.name)) tools.set(tool.name, tool)
  return [...tools.values()]
}

/** `current` is what must not be cut: from the last that was said. What a client's tools gave stands behind their calls, which may be history. */
function recalled(history: readonly Message[], said: readonly Message[]): Pick<Memory, 'history' | 'current'> {
  if (said.every(({ role }) => role === 'user')) return { history: paired(history), current: [...said] }
  const all = paired([...history, ...said])
  const last = said.some(({ role }) => role === 'user') ? all.findLastIndex(({ role }) => role === 'user') : all.length
  return { history: all.slice(0, last), current: all.slice(last) }
}

/** The turn ends with the question what comes of the client's calls; the words beside them are the model's. */
function askingFor(calls: readonly SkillCall[], messages: readonly Message[]): Ending {
  return { outcome: { kind: 'reply', text: messages[0]?.text ?? '', calls } }
}

interface Memory {
  history: readonly Message[]
  /** Of this turn. */
  readonly current: Message[]
  maxTokens: number
  isCompacted: boolean
}

async function shrink(turn: Turn, memory: Memory, options: LoopOptions): Promise<void> {
  memory.isCompacted = true
  const complete = (ask: Ask): Promise<Answer> => options.complete(ask)
  memory.history = await compact({ turn, history: memory.history, maxTokens: memory.maxTokens, chain: options.summarisers, complete })
}

interface Thought extends LoopOptions {
  readonly n: number
  readonly memory: Memory
  readonly speech: Speech
  readonly prompt: {
    readonly system: string
    readonly tools: Prompt['tools']
    readonly isLast: boolean
    readonly given: readonly ClientTurn[]
    readonly choice: ClientChoice
    readonly format: AnswerFormat | null
  }
}

/** One model call; once more, with less, if the model finds it too long. */
async function think(turn: Turn, thought: Thought): Promise<StepResult> {
  try {
    return await callModel(turn, thought)
  } catch (error) {
    const { memory } = thought
    if (!(error instanceof ModelFault) || error.kind !== 'overflow') throw error
    memory.maxTokens = Math.floor(memory.maxTokens / 2)
    if (!memory.isCompacted && memory.history.length > 0) await shrink(turn, memory, thought)
    return callModel(turn, thought)
  }
}

async function callModel(turn: Turn, thought: Thought): Promise<StepResult> {
  const { memory, n, prompt, speech } = thought
  const messagesWith = (joined: readonly Message[]): readonly Message[] =>
    named(fit(memory.history, [...memory.current, ...joined], memory.maxTokens), turn.session)
  const { result, joined } = await turn.step({
    kind: 'llm',
    key: n === 1 ? FIRST_STEP : `llm:${n}`,
    requestHash: hash('sha256', JSON.stringify([thought.chain, prompt.system, prompt.tools, messagesWith([])])),
    run: async ({ idempotencyKey, joined, traceparent }) => {
      const { name, completion, usage } = await thought.complete({
        chain: thought.chain,
        prompt: {
          system: prompt.system,
          messages: messagesWith(joined.flatMap(messagesOf)),
          tools: prompt.tools,
          toolChoice: prompt.isLast ? 'none' : prompt.choice,
          ...(prompt.format !== null && { format: prompt.format }),
          maxOutputTokens: Math.min(turn.agent.limits.maxOutputTokens, ...prompt.given.flatMap((each) => each.maxOutputTokens ?? [])),
        },
        idempotencyKey,
        agent: turn.agent.name,
        traceparent,
        signal: turn.signal,
        onText: (text) => speech.say(text),
        onVoid: () => speech.void(),
      })
      const result = conclude(turn, completion, {
        n,
        isLast: prompt.isLast,
        theirs: new Set(prompt.given.flatMap((each) => each.tools.map(({ name }) => name))),
        known: [...memory.history, ...memory.current],
      })
      return { result: encodeResult(result), name, usage, messages: result.messages, planned: result.planned, ending: result.ending }
    },
  })
  memory.current.push(...joined.flatMap(messagesOf))
  return decodeResult(result)
}

interface Circumstances {
  readonly n: number
  readonly isLast: boolean
  /** Tools that the client runs. */
  readonly theirs: ReadonlySet<string>
  /** Where ids of calls must not be used again. */
  readonly known: readonly Message[]
}

/** What follows from what the model said. */
function conclude(turn: Turn, completion: Completion, circumstances: Circumstances): StepResult {
  const extra = completion.extra === null ? {} : { extra: completion.extra }
  if (completion.calls.length === 0 || circumstances.isLast) {
    const text = finalText(completion)
    const finish = completion.finish === 'length' || completion.finish === 'refusal' ? { finish: completion.finish } : {}
    const ending: Ending = { outcome: text === '' ? { kind: 'silence' } : { kind: 'reply', text, ...finish } }
    // Private parts may stand for calls that are not made.
    return { messages: [{ role: 'assistant', text, ...(completion.calls.length === 0 ? extra : {}) }], planned: [], asked: [], ending }
  }
  const skills = new Map(turn.skills.map((skill) => [toolName(skill.id), skill.id]))
  const taken = new Set(
    circumstances.known.flatMap((message) => (message.role === 'assistant' ? (message.calls ?? []).map(({ id }) => id) : [])),
  )
  const calls: SkillCall[] = []
  const planned: SkillCall[] = []
  const asked: SkillCall[] = []
  const answers: Message[] = []
  for (const [index, { id: given, tool, input, fault }] of completion.calls.entries()) {
    const isTheirs = circumstances.theirs.has(tool)
    const skill = isTheirs ? undefined : skills.get(tool)
    // Some servers give no ids, or the same ones in every answer.
    const id = /^[A-Za-z0-9_-]{1,40}$/.test(given) && !taken.has(given) ? given : `${turn.id.slice(5)}_${circumstances.n}_${index + 1}`
    taken.add(id)
    const call = { id, skill: skill ?? tool, input }
    calls.push(call)
    if (fault === null && isTheirs) asked.push(call)
    else if (fault === null && skill !== undefined) planned.push(call)
    else {
      const code = fault === null ? 'not_found' : 'invalid_input'
      const message = fault ?? `there is no skill "${tool}"`
      answers.push({ role: 'tool', call: id, skill: call.skill, text: toolText({ status: 'error', code, message }) })
    }
  }
  const messages: readonly Message[] = [{ role: 'assistant', text: completion.text, calls, ...extra }, ...answers]
  return { messages, planned, asked, ending: asked.length > 0 && planned.length === 0 ? askingFor(asked, messages) : null }
}

/** Nothing but white space is silence. */
function finalText(completion: Completion): string {
  if (completion.text.trim() !== '') return completion.text
  if (completion.calls.length > 0) return OUT_OF_STEPS
  return completion.finish === 'length' ? OUT_OF_TOKENS : ''
}

/** What was said to those who watch, so that it can be taken back before something else is said. */
class Speech {
  readonly #turn: Turn
  #hasSpoken = false

  constructor(turn: Turn) {
    this.#turn = turn
  }

  say(text: string): void {
    this.#hasSpoken = true
    this.#turn.say(text)
  }

  void(): void {
    if (!this.#hasSpoken) return
    this.#hasSpoken = false
    this.#turn.say(null)
  }
}
