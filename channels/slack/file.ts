/** Files that people share: where one lies is asked for when somebody wants it, and the token is shown to Slack alone. */
import { ChannelFault, NotFoundError, isJsonObject } from '#contract'
import type { ChannelHost, Media, MediaRef } from '#contract'
import { textOf } from './inbound.ts'
import type { SlackApi } from './web-api.ts'

export interface FileAccess {
  readonly api: SlackApi
  readonly host: ChannelHost
  readonly token: string
  /** The origin that the operator configured. */
  readonly trusted: string
}

export async function fetchFile(ref: MediaRef, { api, host, token, trusted }: FileAccess, signal: AbortSignal): Promise<Media> {
  const url = await urlOf(ref, api, signal)
  // A file may lie elsewhere (Google Drive, say), where the token is nobody's business.
  if (!api.owns(url)) throw gone(`File ${ref.id} does not lie at Slack.`)
  const media = await host.fetch({ url, headers: { authorization: `Bearer ${token}` }, trusted, signal })
  // Where the token may not read it, Slack shows a page to sign in, with status 200.
  if (media.mediaType.startsWith('text/html') && ref.media_type !== 'text/html') {
    throw gone(`Slack does not show file ${ref.id} to the app. It needs the scope files:read.`)
  }
  return media
}

/** Events leave addresses out where files are shared between workspaces, so it is asked for. */
async function urlOf({ id }: MediaRef, api: SlackApi, signal: AbortSignal): Promise<string> {
  try {
    const { file } = await api.call('files.info', { file: id }, signal)
    return isJsonObject(file) ? textOf(file['url_private_download']) || textOf(file['url_private']) : ''
  } catch (error) {
    const isGone = error instanceof ChannelFault && error.fault.is === 'permanent'
    throw isGone ? gone(`File ${id} is gone.`, error) : error
  }
}

const gone = (message: string, cause?: unknown): NotFoundError => new NotFoundError(message, { code: 'MEDIA_GONE', cause })
