/** Linking a channel to a phone: only one that can be, and one at a time. The steps are the channel's own. */
import { ConflictError } from '#contract'
import type { Channel, LinkRequest, LinkStep } from '#contract'

export interface Linkable {
  readonly name: string
  readonly channel: Channel
  /** Aborts when the channel stops. */
  readonly stop: AbortController
  isLinking: boolean
}

/** @throws ConflictError when it cannot be linked, or is being linked */
export function linkOf(entry: Linkable, request: LinkRequest, signal: AbortSignal): AsyncIterable<LinkStep> {
  const { name, channel, stop } = entry
  if (channel.link === undefined) {
    throw new ConflictError(`Channel "${name}" is not linked to a phone. Give it its credentials in channels.${name}.`, {
      code: 'CHANNEL_NOT_LINKABLE',
    })
  }
  checkNotLinking(entry)
  return linking(entry, request, AbortSignal.any([signal, stop.signal]))
}

async function* linking(entry: Linkable, request: LinkRequest, signal: AbortSignal): AsyncGenerator<LinkStep> {
  checkNotLinking(entry)
  entry.isLinking = true
  try {
    yield* entry.channel.link?.(request, signal) ?? []
  } finally {
    entry.isLinking = false
  }
}

function checkNotLinking({ name, isLinking }: Linkable): void {
  if (isLinking) throw new ConflictError(`Channel "${name}" is being linked already. End that first.`, { code: 'CHANNEL_LINKING' })
}
