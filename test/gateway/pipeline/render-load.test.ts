/** The Markdown parser is there when a channel with a dialect needs it, and otherwise costs nothing. */
import assert from 'node:assert/strict'
import { registerHooks } from 'node:module'
import { test } from 'node:test'
import { tags } from '../../support/dialect.ts'

const loaded: string[] = []
registerHooks({
  resolve(specifier, context, next) {
    loaded.push(specifier)
    return next(specifier, context)
  },
})
const parsers = (): readonly string[] => loaded.filter((specifier) => /mdast|micromark/.test(specifier))

test('the parser is loaded with the first channel that has a dialect, before anything can be answered', async () => {
  const { reply, startHub } = await import('../../support/hub.ts')
  await import('../../../gateway/run.ts')
  const say = async (dialect: typeof tags | null): Promise<string | undefined> => {
    const text = { max: 4_096, unit: 'utf16', dialect } as const
    const hub = await startHub({ capabilities: { text }, think: async () => reply('**so**') })
    try {
      await hub.say('hello')
      return (await hub.delivered(1))[0]?.rendered.text
    } finally {
      await hub.stop()
    }
  }
  assert.equal(await say(null), '**so**')
  assert.ok(loaded.some((specifier) => specifier.endsWith('/render.ts')))
  assert.deepEqual(parsers(), [])
  assert.equal(await say(tags), '<b>so</b>')
  assert.notDeepEqual(parsers(), [])
})
