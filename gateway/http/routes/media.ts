/**
 * What came with a message, fetched from its platform when somebody asks. A stranger sent it, so it is only ever saved: never shown in the
 * gateway's own origin, where a page or an image with a script in it could act for whoever looks.
 */
import { ChannelFault, NotFoundError, asMessageId } from '#contract'
import type { Media, MediaRef, Route } from '#contract'
import { tenantOf } from './caller.ts'
import type { Hub } from './hub.ts'

/** A type and a subtype without parameters (RFC 9110 §8.3.1). */
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]{1,127}\/[a-z0-9!#$&^_.+-]{1,127}$/i

export function mediaRoutes({ services }: Hub): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/messages/{id}/media/{index}',
      permission: 'messages:read',
      summary: 'The bytes of something that came with a message, by its place in `metadata.media`, from 0',
      tag: 'messages',
      responses: {
        200: { description: 'The bytes, of the type that the platform told, to be saved.', contentType: 'application/octet-stream' },
      },
      handle: async (request) => {
        const { params, signal } = request
        const index = params['index'] ?? ''
        const view = await services.store.inbox.get(tenantOf(request), asMessageId(params['id'] ?? ''))
        if (view === null) throw new NotFoundError('There is no message with this id.', { code: 'MESSAGE_NOT_FOUND' })
        const ref = /^\d{1,6}$/.test(index) ? view.envelope.metadata.media?.[Number(index)] : undefined
        if (ref === undefined) throw new NotFoundError('Nothing with this number came with the message.', { code: 'MEDIA_NOT_FOUND' })
        const { bytes } = await fetched(() => services.channels.media(view.channel, ref, signal))
        return {
          status: 200,
          headers: { 'content-disposition': disposition(ref) },
          bytes,
          contentType: MEDIA_TYPE.test(ref.media_type) ? ref.media_type : 'application/octet-stream',
        }
      },
    },
  ]
}

/** What a platform will never give is gone for whoever asks here. */
async function fetched(fetch: () => Promise<Media>): Promise<Media> {
  try {
    return await fetch()
  } catch (error) {
    if (!(error instanceof ChannelFault) || error.retryable) throw error
    throw new NotFoundError(error.message, { code: error.code, cause: error })
  }
}

/** RFC 6266 §4.1 with the extended form of RFC 8187, which every client takes. */
function disposition({ name }: MediaRef): string {
  if (name === undefined) return 'attachment'
  const encoded = encodeURIComponent(name.toWellFormed()).replaceAll(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename*=UTF-8''${encoded}`
}
