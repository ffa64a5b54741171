/**
 * Durable compaction: when a session's memory outgrows its bound, its older part is folded into a summary, once, by a
 * step of its own. A summary that could not be had, or is hardly shorter, is replaced by a deterministic cut: compaction
 * never fails a turn.
 */
import { hash } from 'node:crypto'
import type { Message, StepSpec, Turn, Usage } from '#contract'
import { ModelError } from '#contract'
import { cut, tokensOf, unitsOf } from './context.ts'
import type { Answer, Ask } from './models/router.ts'

/** A summary has to be at most this part of what it stands for. */
const MAX_RATIO = 0.8
/** Part of the bound that the newest messages take, word for word. */
const RECENT_RATIO = 0.25
const INSTRUCTION =
  'Summarise the conversation below for the assistant who will continue it. Keep what was asked first, decisions, open questions, ' +
  'and every name, number, address, identifier and link exactly. Leave out greetings. Answer with the summary only.'

export interface CompactionOptions {
  readonly turn: Turn
  /** Paired. */
  readonly history: readonly Message[]
  readonly maxTokens: number
  /** Empty: nobody is asked, the cut is taken. */
  readonly chain: readonly string[]
  complete(ask: Ask): Promise<Answer>
}

/** @returns the memory that stands for the old one */
export async function compact(options: CompactionOptions): Promise<readonly Message[]> {
  const { turn, history } = options
  const transcript = history.map(line).join('\n')
  const { result } = await turn.step({
    kind: 'compact',
    key: 'compact:1',
    requestHash: hash('sha256', transcript),
    run: async (call) => {
      const { text, name, usage } = await summarise(options, call)
      return { result: { text }, name, messages: [], usage, planned: [], ending: null, summary: text }
    },
  })
  return [{ role: 'summary', text: typeof result['text'] === 'string' ? result['text'] : '' }]
}

interface Summary {
  readonly text: string
  readonly name: string
  readonly usage: Usage | null
}

type Call = Parameters<StepSpec['run']>[0]

async function summarise(options: CompactionOptions, call: Call): Promise<Summary> {
  const { history, maxTokens } = options
  const units = unitsOf(history)
  const recent = takeNewest(units, maxTokens * RECENT_RATIO)
  const older = history.slice(0, history.length - recent.length)
  const written = older.length === 0 ? null : await ask(options, older, call)
  if (written !== null) {
    const text = compose(written.text, recent)
    const summary: Message = { role: 'summary', text }
    if (tokensOf([summary]) <= MAX_RATIO * tokensOf(history)) return { ...written, text }
  }
  return { text: trimmed(history, maxTokens), name: written?.name ?? 'builtin/trim', usage: written?.usage ?? null }
}

async function ask(options: CompactionOptions, older: readonly Message[], { idempotencyKey, traceparent }: Call): Promise<Summary | null> {
  if (options.chain.length === 0) return null
  const { turn, maxTokens } = options
  const text = cut(older.map(line).join('\n'), Math.floor(maxTokens * 0.75 * 4))
  try {
    const answer = await options.complete({
      chain: options.chain,
      prompt: {
        system: INSTRUCTION,
        messages: [{ role: 'user', text, sender: '' }],
        tools: [],
        toolChoice: 'none',
        maxOutputTokens: Math.max(256, Math.min(turn.agent.limits.maxOutputTokens, Math.floor(maxTokens / 4))),
      },
      idempotencyKey,
      agent: turn.agent.name,
      traceparent,
      signal: turn.signal,
      onText: () => {},
      onVoid: () => {},
    })
    const { completion } = answer
    const isUsable = completion.finish !== 'refusal' && completion.text.trim() !== ''
    return isUsable ? { text: completion.text.trim(), name: answer.name, usage: answer.usage } : null
  } catch (error) {
    if (turn.signal.aborted || !(error instanceof ModelError)) throw error
    return null
  }
}

/** What was asked first, and the newest that fit half the bound. */
function trimmed(history: readonly Message[], maxTokens: number): string {
  const first = history.find((message) => message.role === 'user' || message.role === 'summary')
  const pinned = first === undefined ? '' : cut(line(first), Math.floor(maxTokens * 0.1 * 4))
  return compose(pinned, takeNewest(unitsOf(history), maxTokens * 0.4))
}

function compose(head: string, recent: readonly Message[]): string {
  if (recent.length === 0) return head
  return `${head}\n\nThe newest messages, word for word:\n${recent.map(line).join('\n')}`
}

function takeNewest(units: readonly (readonly Message[])[], maxTokens: number): readonly Message[] {
  let room = maxTokens
  let first = units.length
  while (first > 0) {
    room -= tokensOf(units[first - 1] ?? [])
    if (room < 0) break
    first--
  }
  return units.slice(first).flat()
}

function line(message: Message): string {
  if (message.role === 'summary') return `(earlier) ${message.text}`
  if (message.role === 'user') return `${message.sender === '' ? 'user' : message.sender}: ${message.text}`
  if (message.role === 'tool') return `${message.skill} answered: ${cut(message.text, 2_000)}`
  const calls = (message.calls ?? []).map((call) => `[ran ${call.skill} with ${cut(JSON.stringify(call.input), 500)}]`)
  return `assistant: ${[message.text, ...calls].filter((part) => part !== '').join(' ')}`
}
