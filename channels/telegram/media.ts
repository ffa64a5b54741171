/** What comes with a message, as references: nothing is fetched before somebody asks for it. */
import type { MediaRef } from '#contract'
import type { Message } from 'grammy/types'

/** Bots can download no more (https://core.telegram.org/bots/api#getfile). */
export const MAX_FILE_BYTES: number = 20 * 1_048_576

interface File {
  readonly file_id: string
  readonly file_size?: number
  readonly file_name?: string
  readonly mime_type?: string
}

export function mediaOf(message: Message): readonly MediaRef[] {
  const { photo, sticker } = message
  const found: MediaRef[] = []
  const add = (file: File | undefined, mediaType: string): void => {
    if (file === undefined) return
    const { file_id: id, file_size: bytes, file_name: name, mime_type = mediaType } = file
    found.push({ id, media_type: mime_type, ...(bytes === undefined ? {} : { bytes }), ...(name === undefined ? {} : { name }) })
  }
  // Sizes of the same picture, the largest last.
  add(photo?.findLast(({ file_size: bytes = 0 }) => bytes <= MAX_FILE_BYTES) ?? photo?.at(-1), 'image/jpeg')
  // An animation comes as a document of the same file too.
  add(message.animation, 'video/mp4')
  if (message.animation === undefined) add(message.document, 'application/octet-stream')
  add(message.audio, 'audio/mpeg')
  add(message.video, 'video/mp4')
  add(message.voice, 'audio/ogg')
  add(message.video_note, 'video/mp4')
  add(sticker, sticker?.is_video === true ? 'video/webm' : sticker?.is_animated === true ? 'application/gzip' : 'image/webp')
  return found
}
