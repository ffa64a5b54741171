/**
 * The model that is always there: deterministic, offline, free. It greets and repeats what it was told, so that a
 * gateway without any key can be seen to work.
 */
import type { Completion, Model, ModelRequest } from './model.ts'
import { NO_TOKENS } from './model.ts'

const GREETING = /^\s*(hello|hi|hey|hiya|howdy|greetings|good (morning|afternoon|evening|day))\b/i

export class BuiltinModel implements Model {
  async complete(request: ModelRequest, signal: AbortSignal, onText: (text: string) => void): Promise<Completion> {
    signal.throwIfAborted()
    const text = answer(newestText(request))
    for (const word of text.match(/\S+\s*/g) ?? []) onText(word)
    return { text, calls: [], finish: 'stop', tokens: NO_TOKENS, extra: null }
  }

  async close(): Promise<void> {}
}

function answer(said: string): string {
  if (said.trim() === '') return 'Your message was empty. Say something and I will repeat it, or try /help.'
  if (GREETING.test(said)) return `Hello! I am the built-in model: I work offline and repeat what I hear. You said: ${said}`
  return `You said: ${said}`
}

/** What was said since the last answer. */
function newestText(request: ModelRequest): string {
  const said: string[] = []
  for (const message of request.messages.toReversed()) {
    if (message.role === 'assistant') break
    if (message.role === 'user') said.unshift(message.text)
  }
  return said.join('\n')
}
