/** Media that a platform, or somebody on it, points at, fetched through the guarded client; what went wrong is told as a channel is told it. */
import { ChannelFault, OutboundFault } from '#contract'
import type { GuardedRequest, Media, Outbound, OutboundAnswer, SendFault } from '#contract'

const MAX_BYTES = 20 * 1_048_576

/** Rejects with ChannelFault: permanent where it is not allowed, gone or too large, transient where another try may help. */
export function mediaFetch(outbound: Outbound): (request: GuardedRequest) => Promise<Media> {
  return async (request) => {
    const { status, headers, body } = await send(outbound, request)
    if (status === 200) return { mediaType: headers['content-type'] ?? 'application/octet-stream', bytes: body }
    throw fault(`${hostIn(request.url)} answered ${status}.`, status === 429 || status >= 500 ? TRANSIENT : PERMANENT)
  }
}

async function send(outbound: Outbound, request: GuardedRequest): Promise<OutboundAnswer> {
  try {
    return await outbound.send({ ...request, maxBytes: request.maxBytes ?? MAX_BYTES })
  } catch (error) {
    if (!(error instanceof OutboundFault)) throw error
    throw fault(error.message, error.retryable ? TRANSIENT : PERMANENT, error)
  }
}

/** Without path and query, which may hold a token. */
const hostIn = (url: string): string => (URL.canParse(url) ? new URL(url).host : 'It')

const PERMANENT: SendFault = { is: 'permanent' }
const TRANSIENT: SendFault = { is: 'transient', maybeSent: false }
const fault = (message: string, of: SendFault, cause?: unknown): ChannelFault =>
  new ChannelFault(message, { code: of.is === 'permanent' ? 'MEDIA_REFUSED' : 'MEDIA_UNREACHABLE', fault: of, cause })
