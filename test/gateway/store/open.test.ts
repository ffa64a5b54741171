/** Who may have the file, and which files are refused. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { compareVersions } from '../../../gateway/store/open.ts'
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { accepted, message } from '../../contract/store/given.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { clock, withThreads } from './given.ts'

const MIGRATIONS = new URL('../../../gateway/store/migrations/', import.meta.url)
const IN_USE = { name: 'ConflictError', code: 'STORE_IN_USE' }

describe('opening the store', () => {
  test(
    'is for one gateway at a time, in one process or two, and free again after kill -9',
    withThreads(async ({ file, open }) => {
      const child = spawn(process.execPath, [new URL('./writer-child.ts', import.meta.url).pathname, file], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      try {
        await once(child.stdout, 'data')
        await assert.rejects(open(), IN_USE)
      } finally {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      const store = await open()
      await assert.rejects(open(), IN_USE)
      await store.stop()
      await accepted(await open(), 'p', 'x')
    }),
  )

  test(
    'keeps what people write from other users of the machine',
    withThreads(async ({ file, open }) => {
      await open()
      for (const path of [file, `${file}-wal`]) assert.equal((await stat(path)).mode & 0o777, 0o600)
    }),
  )

  test(
    'notes each migration once',
    withThreads(async ({ file, open }) => {
      await (await open()).stop()
      await (await open()).stop()
      const database = new DatabaseSync(file)
      const names = database
        .prepare('SELECT name FROM migration ORDER BY name')
        .all()
        .map(({ name }) => String(name))
      assert.deepEqual(names, (await readdir(MIGRATIONS)).sort())
      assert.equal(Number(names.at(-1)?.slice(0, 4)), database.prepare('PRAGMA user_version').get()?.['user_version'])
      database.close()
    }),
  )

  test(
    'refuses a file of a newer program, and a file that is no database, and leaves both alone',
    withThreads(async ({ file, open }) => {
      const database = new DatabaseSync(file)
      database.exec('PRAGMA user_version = 9999')
      database.close()
      await assert.rejects(open(), { name: 'ConflictError', code: 'STORE_TOO_NEW' })
      await writeFile(file, 'certainly no database '.repeat(100))
      await assert.rejects(open(), { name: 'UnavailableError', code: 'STORE_FAILED' })
    }),
  )

  test(
    'leaves one file without a log beside it once stopped',
    withThreads(async ({ file, open }) => {
      const store = await open()
      await accepted(store, 'p', 'x')
      await store.inbox.ledger()
      await store.stop()
      assert.deepEqual((await readdir(dirname(file))).toSorted(), ['sessions.db', 'sessions.db.lock'])
    }),
  )

  test(
    'comes before use, and after a stop nothing is taken; what was asked before is answered',
    withThreads(async ({ file, open }) => {
      const fresh = new SqliteStore({ file, log: quietLog, clock })
      await assert.rejects(fresh.inbox.accept(message('p', 'x')), /before start/)
      await assert.rejects(fresh.inbox.ledger(), /before start/)
      await fresh.stop()
      const store = await open()
      assert.equal(store.start(), store.start())
      const last = Promise.all(Array.from({ length: 50 }, () => store.inbox.accept(message('p', 'x'))))
      await store.stop()
      assert.equal((await last).length, 50)
      const stopped = { name: 'UnavailableError', code: 'STORE_STOPPED' }
      await assert.rejects(store.inbox.accept(message('p', 'x')), stopped)
      await assert.rejects(store.inbox.ledger(), stopped)
      await store.stop()
    }),
  )

  test(
    'refuses more commands than it can hold',
    withThreads(async ({ open }) => {
      const store = await open()
      const results = await Promise.allSettled(Array.from({ length: 20_001 }, () => store.inbox.accept(message('p', 'x'))))
      const refused = results.filter((result) => result.status === 'rejected')
      assert.deepEqual(
        refused.map((result) => result.reason.code),
        ['STORE_BUSY'],
      )
      assert.equal((await store.inbox.ledger()).accepted, 20_000)
    }),
  )

  test('compares versions by their numbers', () => {
    assert.ok(compareVersions('3.9.0', '3.51.3') < 0)
    assert.ok(compareVersions('3.53', '3.51.3') > 0)
    assert.equal(compareVersions('3.51.3', '3.51.3'), 0)
  })
})
