/**
 * The document of a message, as the API shows it: what was said, what became of it, and what was answered. Times become ISO 8601
 * here. Pure, so that the HTTP server and the channels that answer with a message say the same.
 */
import type { JsonObject, JsonValue, Metadata } from './envelope.ts'
import type { MessageView, ReplyView, StepView, Usage } from './message.ts'

/** `steps` and `replies` are those of the message's turn, in order; none while it has no turn. */
export function messageDocument(view: MessageView, steps: readonly StepView[], replies: readonly ReplyView[]): JsonObject {
  const { envelope } = view
  return {
    message_id: view.id,
    status: view.status,
    channel: view.channel,
    channel_id: envelope.metadata.channel_id ?? null,
    agent: view.agent,
    session: view.session,
    sender_id: envelope.sender_id,
    attempts: view.attempts,
    reason: view.reason === null ? null : { code: view.reason.code, message: view.reason.message },
    due_at: isoTime(view.dueAt),
    accepted_at: isoTime(view.acceptedAt),
    done_at: isoTime(view.doneAt),
    payload: { ...envelope.payload },
    metadata: metadataDocument(envelope.metadata),
    replies: replies.map(replyDocument),
    steps: steps.map(stepDocument),
  }
}

/** Epoch milliseconds as the edges of the gateway write them. */
export const isoTime = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())

function replyDocument(reply: ReplyView): JsonObject {
  const { id, seq, text, index, of, status, extra } = reply
  return { id, seq, text, index, of, status, ...(extra !== undefined && { extra }) }
}

function stepDocument(step: StepView): JsonObject {
  return {
    key: step.key,
    kind: step.kind,
    name: step.name,
    status: step.status,
    attempts: step.attempts,
    started_at: isoTime(step.startedAt),
    done_at: isoTime(step.doneAt),
    usage: step.usage === null ? null : usageDocument(step.usage),
    input: step.input,
    output: step.output,
  }
}

function usageDocument(usage: Usage): JsonObject {
  return {
    provider: usage.provider,
    model: usage.model,
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_tokens: usage.cacheReadTokens,
    cost_nano: usage.costNano,
    latency_ms: usage.latencyMs,
  }
}

function metadataDocument(metadata: Metadata): JsonObject {
  const document: { [member: string]: JsonValue } = {}
  for (const [member, value] of Object.entries(metadata)) if (value !== undefined) document[member] = value
  return document
}
