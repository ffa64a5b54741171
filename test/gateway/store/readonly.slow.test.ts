/** A file or a file system that may not be written. */
import { DEFAULT_TENANT } from '#contract'
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe, test } from 'node:test'
import { accepted, message } from '../../contract/store/given.ts'
import { eventually } from '../../support/eventually.ts'
import { withThreads } from './given.ts'

const READONLY = { name: 'UnavailableError', code: 'STORE_READONLY' }
const isRoot = process.getuid?.() === 0
/** Whoever is root here may write everything; another user may not. */
const NOBODY = 65_534

describe('a store that may not be written', () => {
  test(
    'does not start, and says which permission is missing',
    withThreads(async ({ file, open }) => {
      await (await open()).stop()
      await chmod(file, 0o444)
      await chmod(`${file}.lock`, 0o666)
      await chmod(dirname(file), 0o555)
      const child = spawn(process.execPath, [new URL('./readonly-child.ts', import.meta.url).pathname, file], {
        stdio: ['ignore', 'pipe', 'inherit'],
        ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
      })
      let said = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
      await once(child, 'close')
      await chmod(dirname(file), 0o755)
      assert.equal(said, 'STORE_READONLY')
    }),
  )

  test('that becomes so while it runs acknowledges nothing and recovers by itself', async (t) => {
    await withThreads(async ({ file, open }) => {
      const store = await open({ writeTimeoutMs: 200 })
      await accepted(store, 'p', 'before')
      const attribute = (flag: string): boolean => spawnSync('chattr', [flag, file, `${file}-wal`]).status === 0
      if (!attribute('+i')) {
        t.skip('needs root and a file system with the immutable attribute')
        return
      }
      try {
        await assert.rejects(store.inbox.accept(message('p', 'refused')), READONLY)
        assert.equal(store.health().code, 'STORE_READONLY')
      } finally {
        attribute('-i')
      }
      await eventually(() => store.health().ok, 'its recovery')
      await accepted(store, 'p', 'after')
      assert.deepEqual(
        (await store.inbox.list({ tenant: DEFAULT_TENANT }, null, 9)).map((view) => view.envelope.payload),
        [{ text: 'after' }, { text: 'before' }],
      )
    })()
  })
})
