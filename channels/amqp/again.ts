/** Messages that could not be accepted together, tried again: first all in one, then each by itself, where one of them is at fault. */
import { OpenClawError, describeError } from '#contract'
import type { Accepted, ChannelHost, Inbound } from '#contract'

/** Not so where the message itself is refused. */
export const isWorthWaiting = (error: unknown): boolean => !(error instanceof OpenClawError) || error.retryable

/** Rejects with what is worth waiting for. */
export async function acceptAgain(host: ChannelHost, messages: readonly Inbound[]): Promise<readonly Accepted[]> {
  try {
    return await host.acceptAll(messages)
  } catch (error) {
    if (isWorthWaiting(error)) throw error
    // One of them is at fault, and must not keep the others out.
    const answers: Accepted[] = []
    for (const message of messages) answers.push(await acceptOne(host, message))
    return answers
  }
}

async function acceptOne(host: ChannelHost, message: Inbound): Promise<Accepted> {
  try {
    return await host.accept(message)
  } catch (error) {
    if (isWorthWaiting(error)) throw error
    return await host.accept({ ...message, dead: describeError(error) })
  }
}
