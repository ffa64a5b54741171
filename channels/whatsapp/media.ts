/**
 * Pictures, voices and files: where they are and how they are opened goes into a reference; they are fetched from WhatsApp's media host only
 * (never from an address that a sender names), checked and decrypted when somebody asks.
 */
import { createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { MediaType, proto } from 'baileys'
import { ChannelFault, NotFoundError } from '#contract'
import type { ChannelHost, Media, MediaRef } from '#contract'
import type { Baileys } from './library.ts'

/** What is needed to open it, packed into the reference's id. */
interface Sealed {
  readonly type: MediaType
  readonly path: string
  /** base64url, as is `sha256` (of the opened file). */
  readonly key: string
  readonly sha256: string
}

/** null: there is no file in it. */
export function mediaRef(content: proto.IMessage): MediaRef | null {
  const {
    imageMessage: image,
    videoMessage: video,
    audioMessage: audio,
    documentMessage: document,
    stickerMessage: sticker,
    ptvMessage: note,
  } = content
  if (image) return refer('image', image)
  if (video ?? note) return refer('video', video ?? note)
  if (audio) return refer('audio', audio)
  if (document) return refer('document', document, document.fileName)
  return sticker ? refer('sticker', sticker) : null
}

export interface Opening {
  readonly baileys: Baileys
  readonly host: ChannelHost
  readonly mediaUrl: string
  readonly signal: AbortSignal
}

/** @throws NotFoundError when it is gone; ChannelFault when it cannot be had, or is not what was sent */
export async function openMedia({ baileys, host, mediaUrl, signal }: Opening, ref: MediaRef): Promise<Media> {
  const { type, path, key, sha256 } = unpack(ref.id)
  const { bytes } = await host.fetch({ url: urlOf(path, mediaUrl), trusted: mediaUrl, signal }).catch((cause: unknown) => {
    if (cause instanceof ChannelFault && !cause.retryable) throw gone(cause)
    throw cause
  })
  const { iv, cipherKey, macKey } = await baileys.getMediaKeys(Buffer.from(key, 'base64url'), type)
  const [sealed, mac] = [bytes.subarray(0, -MAC_BYTES), bytes.subarray(-MAC_BYTES)]
  const expected = createHmac('sha256', macKey ?? '')
    .update(iv)
    .update(sealed)
    .digest()
    .subarray(0, MAC_BYTES)
  if (mac.length !== MAC_BYTES || !timingSafeEqual(mac, expected)) throw spoilt()
  const decipher = createDecipheriv('aes-256-cbc', cipherKey, iv)
  const opened = Buffer.concat([decipher.update(sealed), decipher.final()])
  if (createHash('sha256').update(opened).digest('base64url') !== sha256) throw spoilt()
  return { bytes: opened, mediaType: ref.media_type }
}

/** The sender wrote the path, and a URL's parser skips tabs: what counts is where it leads. */
function urlOf(path: string, mediaUrl: string): string {
  const url = URL.canParse(path, mediaUrl) ? new URL(path, mediaUrl) : null
  if (url === null || url.origin !== new URL(mediaUrl).origin) throw gone()
  return url.href
}

const MAC_BYTES = 10

interface File {
  readonly directPath?: string | null
  readonly mediaKey?: Uint8Array | null
  readonly fileSha256?: Uint8Array | null
  readonly fileLength?: number | { toNumber(): number } | null
  readonly mimetype?: string | null
}

function refer(type: MediaType, file: File | null | undefined, name?: string | null): MediaRef {
  const base64 = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('base64url')
  const sealed: Sealed = { type, path: file?.directPath ?? '', key: base64(file?.mediaKey), sha256: base64(file?.fileSha256) }
  const { fileLength: length } = file ?? {}
  const bytes = typeof length === 'object' ? length?.toNumber() : length
  return {
    id: Buffer.from(JSON.stringify(sealed)).toString('base64url'),
    media_type: file?.mimetype ?? 'application/octet-stream',
    ...(bytes === undefined ? {} : { bytes }),
    ...(name ? { name } : {}),
  }
}

function unpack(id: string): Sealed {
  try {
    const sealed: unknown = JSON.parse(Buffer.from(id, 'base64url').toString('utf8'))
    if (typeof sealed === 'object' && sealed !== null && 'path' in sealed && String(sealed.path).startsWith('/')) return sealed as Sealed
  } catch {
    // Not one of ours: said below.
  }
  throw gone()
}

const gone = (cause?: unknown): NotFoundError =>
  new NotFoundError('The file is not at WhatsApp any more: it keeps them for a few weeks. Ask for it to be sent again.', {
    code: 'MEDIA_GONE',
    cause,
  })

const spoilt = (): ChannelFault =>
  new ChannelFault('The file that WhatsApp gave is not the one that was sent. Ask for it to be sent again.', {
    code: 'WHATSAPP_MEDIA_DAMAGED',
    fault: { is: 'permanent' },
  })
