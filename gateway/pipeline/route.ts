/**
 * Routing: which agent gets a message, and by which rule. The most specific rule wins: a sender weighs more than any
 * metadata, that more than headers, topic, account and channel together, and a plain value more than a pattern. Among
 * equals the first in the file wins. A rule is for messages of the tenant whose agent it names. Pure; sessions are `session-key.ts`.
 */
import { isJsonObject, matchesPieces } from '#contract'
import type { Inbound, JsonValue, Metadata, RouteMatch, RouteRule, Routing } from '#contract'

export type Routed = { readonly agent: string; readonly rule: string } | null

/** What a message is routed by; `channel` is the account's name that it came in by. */
export type Routable = Pick<Inbound, 'account' | 'sender' | 'metadata'> & { readonly tenant: string; readonly channel: string }

/** A rule and a message: which of its conditions did not hold. */
export interface RuleTrial {
  readonly rule: string
  readonly agent: string
  /** None: it matches, and is not taken only because another comes before it. */
  readonly failed: readonly { readonly condition: string; readonly expected: JsonValue }[]
}

export class Router {
  readonly #rules: ReadonlyMap<string, readonly CompiledRule[]>
  readonly #fallbacks: ReadonlyMap<string, string>

  constructor(routing: Routing) {
    const rules = routing.rules.map(compile).toSorted((a, b) => b.weight - a.weight)
    this.#rules = Map.groupBy(rules, ({ tenant }) => tenant)
    this.#fallbacks = new Map(Object.entries(routing.fallbacks))
  }

  route(message: Routable): Routed {
    for (const rule of this.#rules.get(message.tenant) ?? NO_RULES)
      if (rule.tests.every((test) => test(message))) return { agent: rule.agent, rule: rule.id }
    const fallback = this.#fallbacks.get(message.tenant)
    return fallback === undefined ? null : { agent: fallback, rule: 'fallback' }
  }

  /** Every rule of the tenant, in the order in which they are tried. */
  explain(message: Routable): readonly RuleTrial[] {
    return (this.#rules.get(message.tenant) ?? NO_RULES).map(({ id, agent, tests, conditions }) => ({
      rule: id,
      agent,
      failed: conditions.filter((_, i) => tests[i]?.(message) === false),
    }))
  }
}

const NO_RULES: readonly CompiledRule[] = []

interface CompiledRule {
  readonly id: string
  readonly tenant: string
  readonly agent: string
  readonly weight: number
  readonly tests: readonly ((message: Routable) => boolean)[]
  /** What each of the tests asks for. */
  readonly conditions: RuleTrial['failed']
}

function compile(rule: RouteRule): CompiledRule {
  const tests: ((message: Routable) => boolean)[] = []
  const conditions: { readonly condition: string; readonly expected: JsonValue }[] = []
  let weight = 0
  const add = (asked: RuleTrial['failed'][number], base: number, isExact: boolean, test: (message: Routable) => boolean): void => {
    conditions.push(asked)
    weight += isExact ? base : base / 2
    tests.push(test)
  }
  const { channel, account, sender, headers, metadata, topic }: RouteMatch = rule.match
  if (channel !== undefined)
    add(
      { condition: 'channel', expected: channel },
      1,
      isPlain(channel),
      onText(channel, (message) => message.channel),
    )
  if (account !== undefined)
    add(
      { condition: 'account', expected: account },
      4,
      isPlain(account),
      onText(account, (message) => message.account),
    )
  if (topic !== undefined) add({ condition: 'topic', expected: topic }, 16, !/[*#]/.test(topic), onTopic(topic))
  for (const [name, value] of Object.entries(headers ?? {}))
    add(
      { condition: `header.${name}`, expected: value },
      64,
      isPlain(value),
      onText(value, (message) => message.metadata.headers?.[name.toLowerCase()]),
    )
  for (const [path, value] of Object.entries(metadata ?? {}))
    add({ condition: `metadata.${path}`, expected: value }, 1024, typeof value !== 'string' || isPlain(value), onMetadata(path, value))
  if (sender !== undefined)
    add(
      { condition: 'sender', expected: sender },
      65_536,
      isPlain(sender),
      onText(sender, (message) => message.sender),
    )
  return { id: rule.id, tenant: rule.tenant, agent: rule.agent, weight, tests, conditions }
}

const isPlain = (pattern: string): boolean => !pattern.includes('*')

function onText(pattern: string, read: (message: Routable) => string | undefined): (message: Routable) => boolean {
  if (isPlain(pattern)) return (message) => read(message) === pattern
  const pieces = pattern.split('*')
  return (message) => {
    const text = read(message)
    return text !== undefined && matchesPieces(text, pieces)
  }
}

function onTopic(pattern: string): (message: Routable) => boolean {
  const words = pattern.split('.')
  return (message) => typeof message.metadata.topic === 'string' && matchesWords(message.metadata.topic.split('.'), words)
}

/** Dynamic programming over (words of the topic, words of the pattern): linear in their product whatever the pattern. */
function matchesWords(topic: readonly string[], pattern: readonly string[]): boolean {
  let reachable = new Set([0])
  for (const word of pattern) {
    const next = new Set<number>()
    for (const at of reachable) {
      if (word === '#') for (let i = at; i <= topic.length; i++) next.add(i)
      else if (at < topic.length && (word === '*' || word === topic[at])) next.add(at + 1)
    }
    reachable = next
  }
  return reachable.has(topic.length)
}

function onMetadata(path: string, wanted: JsonValue): (message: Routable) => boolean {
  const steps = path.split('.')
  const text =
    typeof wanted === 'string' ? onValue(wanted) : (value: JsonValue | undefined) => JSON.stringify(value) === JSON.stringify(wanted)
  return (message) => text(dig(message.metadata, steps))
}

function onValue(pattern: string): (value: JsonValue | undefined) => boolean {
  const pieces = pattern.split('*')
  return (value) => typeof value === 'string' && (pieces.length === 1 ? value === pattern : matchesPieces(value, pieces))
}

function dig(metadata: Metadata, steps: readonly string[]): JsonValue | undefined {
  let at: unknown = metadata
  for (const step of steps) {
    if (!isJsonObject(at) || !Object.hasOwn(at, step)) return undefined
    at = at[step]
  }
  return at as JsonValue | undefined
}
