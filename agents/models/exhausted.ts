/** What is told when no model of a chain could answer: to the hub by `retryable`, to people by a sentence and an advice. */
import type { ModelError } from '#contract'
import { ModelFault } from './fault.ts'
import type { FaultKind } from './fault.ts'

/** A model of the chain that was given up, and its last fault. */
export interface Failed {
  readonly name: string
  readonly fault: ModelFault
}

const ADVICE: { readonly [kind in FaultKind]: string } = {
  transient: 'It is tried again later.',
  rate: 'It is tried again later.',
  auth: 'Check the api_key under llm.providers.',
  quota: "Check the provider account's credit.",
  overflow: 'Lower max_context_tokens of the agent.',
  refused: '',
  rejected: "Check the model's name and llm.providers.",
}

/** Worth another turn if any of them may come back; told by the first of that sort. */
export function exhausted(faults: readonly Failed[]): ModelError {
  const [telling] = [...faults.filter(({ fault }) => fault.retryable), ...faults]
  if (telling === undefined) return new ModelFault('rejected', 'No model is configured for this agent. Set llm.defaults.primary.')
  const { fault } = telling
  const told = faults.map(({ name, fault }) => `${name} ${fault.message}`).join('; ')
  return new ModelFault(fault.kind, `No model could answer: ${told}. ${ADVICE[fault.kind]}`, {
    retryAfterMs: fault.retryAfterMs,
    cause: fault,
  })
}
