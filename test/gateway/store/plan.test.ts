/** Questions that are asked all the time must not read what is done. */
import { DEFAULT_TENANT, newDeadLetterId } from '#contract'
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { withThreads } from './given.ts'

const DONE = 100_000
const WAITING = 10_000
const AT_MOST_MS = 250

function fill(file: string): void {
  const database = new DatabaseSync(file)
  database.exec(`
    BEGIN;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${WAITING / 2})
      INSERT INTO session (key, agent, channel, account, peer_kind, peer, created_at, updated_at) SELECT 's' || i, 'main', 'web', 'a', 'direct', i, 0, 0 FROM n;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${DONE + WAITING})
      INSERT INTO inbox (id, status, open, channel, session, accepted_at, lane)
      SELECT 'm' || i, iif(i > ${DONE}, 'queued', 'done'), i > ${DONE}, 'web', 1 + i % ${WAITING / 2}, 0, 'l' FROM n;
    INSERT INTO inbox_content (seq, envelope, reply) SELECT seq, '{}', '{}' FROM inbox;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${DONE})
      INSERT INTO outbox (id, platform_id, status, open, channel, lane, session, message, part, parts, due_at, created_at, address, rendered)
      SELECT 'd' || i, 'p' || i, iif(i > ${DONE - 100}, 'pending', 'sent'), i > ${DONE - 100}, 'web', 'l' || (i % 50), 1, 'm', 0, 1, 0, 0, '{}', '{"text":""}' FROM n;
    COMMIT`)
  database.close()
}

describe(`with ${DONE} done and ${WAITING} waiting`, () => {
  test(
    'answers what is ready, what to send, what came to a lane and whose news it is in a moment',
    withThreads(async ({ file, open }) => {
      await (await open()).stop()
      fill(file)
      const store = await open()
      await store.keys.list()
      // What reads it all is slow every time; a busy machine is not.
      const timed = async <Value>(ask: () => Promise<readonly Value[]>): Promise<number> => {
        let quickest = Infinity
        let length = 0
        for (let tries = 0; tries < 10 && quickest >= AT_MOST_MS; tries++) {
          const began = performance.now()
          length = (await ask()).length
          quickest = Math.min(quickest, performance.now() - began)
        }
        assert.ok(quickest < AT_MOST_MS, `it took ${quickest} ms`)
        return length
      }
      assert.equal(await timed(() => store.inbox.readySessions({ now: 1, after: 0, limit: 100 })), 100)
      assert.equal(await timed(() => store.inbox.readySessions({ now: 1, after: DONE + 4_950, limit: 100 })), 50)
      assert.equal(await timed(() => store.outbox.heads({ channels: ['web'], now: 1, limit: 100 })), 50)
      assert.equal(await timed(() => store.inbox.repliesOfLane('web', 'l7', DONE - 1_000, 10)), 10)
      assert.equal(await timed(() => store.inbox.list({ tenant: DEFAULT_TENANT }, null, 50)), 50)
      const news = { channel: 'web', news: { state: 'read' }, deadLetter: newDeadLetterId(1), now: 1 } as const
      const tell = (at: number): Promise<string> => store.outbox.news({ ...news, platformId: `p${at * 500}` })
      assert.equal(await timed(() => Promise.all(Array.from({ length: 100 }, (_, at) => tell(at + 1)))), 100)
    }),
  )
})
