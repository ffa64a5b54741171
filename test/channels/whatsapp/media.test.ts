/** Where a file is looked for is WhatsApp's media host, whatever the sender wrote into its path. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GuardedRequest, Media, MediaRef } from '#contract'
import { mediaRef, openMedia } from '../../../channels/whatsapp/media.ts'
import type { Opening } from '../../../channels/whatsapp/media.ts'
import { MemoryHost } from '../../support/channel-host.ts'

class Watched extends MemoryHost {
  readonly asked: string[] = []
  override fetch({ url }: GuardedRequest): Promise<Media> {
    this.asked.push(url)
    return Promise.reject(new Error('nothing is fetched here'))
  }
}

const refTo = (directPath: string): MediaRef => mediaRef({ imageMessage: { directPath } }) ?? assert.fail('there is a picture in it')

test('a path that a sender made up to lead elsewhere is gone, and nobody is asked', async () => {
  const host = new Watched('wa')
  const opening: Opening = {
    // Nothing is decrypted that was not fetched.
    baileys: {} as Opening['baileys'],
    host,
    mediaUrl: 'https://mmg.whatsapp.net',
    signal: AbortSignal.timeout(20_000),
  }
  const elsewhere = [
    '//evil.example/x',
    '/\\evil.example/x',
    '/\t/evil.example/x',
    '/\n\\evil.example/x',
    'https://evil.example/',
    '@evil',
    '',
  ]
  for (const path of elsewhere) await assert.rejects(openMedia(opening, refTo(path)), { code: 'MEDIA_GONE' }, JSON.stringify(path))
  assert.deepEqual(host.asked, [])
  await assert.rejects(openMedia(opening, refTo('/v/t62.7118-24/file.enc?ccb=1')), /nothing is fetched/)
  assert.deepEqual(host.asked, ['https://mmg.whatsapp.net/v/t62.7118-24/file.enc?ccb=1'])
})
