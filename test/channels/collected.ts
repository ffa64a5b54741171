/** What channels lack whose clients fetch their replies, for the channel suite. */
import type { ChannelWorld } from '../contract/channel-world.ts'

const COLLECTED = 'replies are collected, nothing is sent'

export const LACKS_OF_COLLECTED: ChannelWorld['lacks'] = {
  push: COLLECTED,
  permanent: COLLECTED,
  transient: COLLECTED,
  rate: COLLECTED,
  lost: COLLECTED,
  split: COLLECTED,
  groups: 'there are none',
  echo: 'nobody gives back what was fetched',
  edits: 'there are none',
  auth: 'keys are checked by the server',
}
