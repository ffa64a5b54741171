/** Where the gateway keeps a channel, for the commands about channels. */
export const channelPath = (name: string): string => `/v1/channels/${encodeURIComponent(name)}`
