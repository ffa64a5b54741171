/** The kinds of channel there are, one line each. A kind is loaded when the configuration names it and not before. */
import type { ChannelKind } from '#contract'

export const channelKinds: { readonly [kind: string]: () => Promise<ChannelKind> } = {
  amqp: async () => (await import('./amqp/amqp.ts')).amqp,
  http: async () => (await import('./http/http.ts')).http,
  slack: async () => (await import('./slack/slack.ts')).slack,
  mqtt: async () => (await import('./mqtt/mqtt.ts')).mqtt,
  kafka: async () => (await import('./kafka/kafka.ts')).kafka,
  'whatsapp-cloud': async () => (await import('./whatsapp-cloud/whatsapp-cloud.ts')).whatsappCloud,
  websocket: async () => (await import('./websocket/websocket.ts')).websocket,
  telegram: async () => (await import('./telegram/telegram.ts')).telegram,
  whatsapp: async () => (await import('./whatsapp/whatsapp.ts')).whatsapp,
}

/** Those that are always there, under the names of their kinds. */
export const standingChannels: readonly string[] = ['http', 'websocket']
