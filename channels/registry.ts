/** The kinds of channel there are, one line each. A kind is loaded when the configuration names it and not before. */
import type { ChannelKind } from '#contract'

export const channelKinds: { readonly [kind: string]: () => Promise<ChannelKind> } = {
  http: async () => (await import('./http/http.ts')).http,
  'whatsapp-cloud': async () => (await import('./whatsapp-cloud/whatsapp-cloud.ts')).whatsappCloud,
  websocket: async () => (await import('./websocket/websocket.ts')).websocket,
  whatsapp: async () => (await import('./whatsapp/whatsapp.ts')).whatsapp,
}

/** Those that are always there, under the names of their kinds. */
export const standingChannels: readonly string[] = ['http', 'websocket']
