/** The kinds of channel there are, one line each. A kind is loaded when the configuration names it and not before. */
import type { ChannelKind } from '#contract'

export const channelKinds: { readonly [kind: string]: () => Promise<ChannelKind> } = {
  amqp: async () => (await import('./amqp/amqp.ts')).amqp,
  completions: async () => (await import('./completions/completions.ts')).completions,
  hook: async () => (await import('./hook/hook.ts')).hook,
  http: async () => (await import('./http/http.ts')).http,
  kafka: async () => (await import('./kafka/kafka.ts')).kafka,
  mqtt: async () => (await import('./mqtt/mqtt.ts')).mqtt,
  slack: async () => (await import('./slack/slack.ts')).slack,
  telegram: async () => (await import('./telegram/telegram.ts')).telegram,
  websocket: async () => (await import('./websocket/websocket.ts')).websocket,
  'whatsapp-cloud': async () => (await import('./whatsapp-cloud/whatsapp-cloud.ts')).whatsappCloud,
  whatsapp: async () => (await import('./whatsapp/whatsapp.ts')).whatsapp,
}

/** Those that are always there, under the names of their kinds. */
export const standingChannels: readonly string[] = ['http', 'websocket', 'completions']
