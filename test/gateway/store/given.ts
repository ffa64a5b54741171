/** SQLite stores in temporary folders, for tests: opened, crashed, cleaned up. */
import type { AuditEntry, AuditScope, Clock } from '#contract'
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startThread, type StartSide } from '../../../gateway/store/side.ts'
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import type { UseStore } from '../../contract/store/given.ts'
import { inThisThread } from '../../support/in-this-thread.ts'
import { quietLog } from '../../support/quiet-log.ts'

// Threads start in half the time with it.
enableCompileCache()

export const clock: Clock = { now: () => Date.now(), after: () => () => {} }

export interface Folder {
  readonly file: string
  readonly open: (change?: {
    readonly writeTimeoutMs?: number
    readonly auditKey?: Uint8Array
    readonly audit?: AuditScope
  }) => Promise<SqliteStore>
}

/** A folder, and an end for all that was opened in it. */
export const withFolder =
  (test: (folder: Folder) => Promise<void>, startSide: StartSide = inThisThread): (() => Promise<void>) =>
  async () => {
    const path = await mkdtemp(join(tmpdir(), 'openclaw-store-'))
    const opened: SqliteStore[] = []
    const file = join(path, 'sessions.db')
    try {
      await test({
        file,
        async open(change) {
          const store = new SqliteStore({ file, log: quietLog, clock, startSide, ...change })
          opened.push(store)
          await store.start()
          return store
        },
      })
    } finally {
      await Promise.all(opened.map((store) => store.stop()))
      await rm(path, { recursive: true })
    }
  }

/** The same with the threads that a gateway has, for tests of locks, faults, time and the threads themselves. */
export const withThreads = (test: (folder: Folder) => Promise<void>): (() => Promise<void>) => withFolder(test, startThread)

export const sqliteOver =
  (startSide: StartSide): UseStore =>
  (test) =>
    withFolder(async ({ file, open }) => {
      const lent: { readonly entry: AuditEntry; readonly settled: boolean[] }[] = []
      const audit: AuditScope = {
        take(id) {
          const loan = lent.shift()
          if (loan === undefined) return null
          const entry = { ...loan.entry, object: loan.entry.object ?? id }
          return { entry, settle: (isWritten) => void loan.settled.push(isWritten) }
        },
      }
      const store = await open({ audit })
      const copies: { readonly store: SqliteStore; readonly path: string }[] = []
      try {
        await test({
          store,
          async crash() {
            const path = await mkdtemp(join(tmpdir(), 'openclaw-store-'))
            const from = join(file, '..')
            // Neither the lock nor the shared memory outlives a power cut.
            const names = (await readdir(from)).filter((name) => name === 'sessions.db' || name.endsWith('-wal'))
            for (const name of names) await copyFile(join(from, name), join(path, name))
            const copy = new SqliteStore({ file: join(path, 'sessions.db'), log: quietLog, clock, startSide })
            copies.push({ store: copy, path })
            await copy.start()
            return copy
          },
          lend(entry) {
            const loan = { entry, settled: [] }
            lent.push(loan)
            return loan
          },
          async restart() {
            await store.stop()
            return open()
          },
        })
      } finally {
        for (const copy of copies) {
          await copy.store.stop()
          await rm(copy.path, { recursive: true })
        }
      }
    }, startSide)
