/** Tenants in SQLite: a file of before them, and lists that read the rows of one tenant and of no other. */
import { DEFAULT_TENANT, asAgentId } from '#contract'
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { letterReads } from '../../../gateway/store/dead-letters.ts'
import { inboxReads } from '../../../gateway/store/message.ts'
import { runReads } from '../../../gateway/store/runs.ts'
import { sessionReads } from '../../../gateway/store/sessions.ts'
import { Sql } from '../../../gateway/store/sql.ts'
import { T } from '../../contract/store/given.ts'
import { withFolder } from './given.ts'

const MIGRATIONS = new URL('../../../gateway/store/migrations/', import.meta.url)
const files = readdirSync(MIGRATIONS)
  .filter((name) => name.endsWith('.sql'))
  .sort()
const TENANTS = files.findIndex((name) => name.endsWith('-tenants.sql'))

/** A file as the migrations before that of tenants left it. */
function makeOld(file: string): DatabaseSync {
  const database = new DatabaseSync(file)
  database.exec('CREATE TABLE migration (name TEXT PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT')
  for (const name of files.slice(0, TENANTS)) database.exec(readFileSync(new URL(name, MIGRATIONS), 'utf8'))
  database.exec(`PRAGMA user_version = ${TENANTS}`)
  return database
}

/** Tells how a statement would find its rows, instead of finding them. */
class Planner extends Sql {
  readonly plan: string[] = []
  override all<Row>(text: string, ...values: Parameters<Sql['all']> extends [string, ...infer Rest] ? Rest : never): Row[] {
    for (const { detail } of super.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, ...values)) this.plan.push(detail)
    return []
  }
}

describe('tenants in SQLite', () => {
  test(
    'what was there before there were tenants is the operator’s, and a run’s letter its tenant’s',
    withFolder(async ({ file, open }) => {
      const old = makeOld(file)
      old.exec(`
        INSERT INTO session (key, agent, channel, account, peer_kind, peer, created_at, updated_at) VALUES ('s', 'main', 'web', 'a', 'direct', 'p', ${T}, ${T});
        INSERT INTO inbox (id, status, open, channel, session, accepted_at, done_at, lane) VALUES ('msg-1', 'done', 0, 'web', 1, ${T}, ${T}, 'l');
        INSERT INTO inbox_content (seq, envelope, reply) VALUES (1, '{"id":"msg-1"}', '{}');
        INSERT INTO agent (id, name, declaration, created_at) VALUES ('agent-1', 'helper', '{}', ${T});
        INSERT INTO api_key (id, name, hash, scopes, created_at) VALUES ('key-1', 'ops', 'h', '[]', ${T});
        INSERT INTO run (id, tenant, key, skill, caller, effect, status, open, created_at) VALUES ('run-1', 'acme', 'k', 's', '{}', 'once', 'dead', 0, ${T});
        INSERT INTO dead_letter (id, kind, ref, channel, reason_code, reason_message, attempts, created_at, content) VALUES
          ('dl-1', 'run', 'run-1', '', 'X', 'x', 1, ${T}, '{}'), ('dl-2', 'message', 'msg-1', 'web', 'X', 'x', 1, ${T}, '{}');`)
      old.close()
      const store = await open()
      const ids = async (rows: Promise<readonly { readonly id: string }[]>): Promise<readonly string[]> => (await rows).map(({ id }) => id)
      assert.deepEqual(await ids(store.inbox.list({ tenant: DEFAULT_TENANT }, null, 9)), ['msg-1'])
      assert.equal((await store.sessions.list({ tenant: DEFAULT_TENANT }, null, 9)).length, 1)
      assert.deepEqual(await ids(store.deadLetters.list({ tenant: DEFAULT_TENANT }, null, 9)), ['dl-2'])
      assert.deepEqual(await ids(store.deadLetters.list({ tenant: 'acme' }, null, 9)), ['dl-1'])
      assert.deepEqual(
        (await store.keys.list()).map(({ id, tenant }) => [id, tenant]),
        [['key-1', DEFAULT_TENANT]],
      )
      const agent = { tenant: DEFAULT_TENANT, name: 'helper', declaration: { version: '2' }, createdAt: T + 1 }
      const put = await store.agents.put({ ...agent, id: asAgentId('agent-2') })
      assert.deepEqual([put.id, put.tenant, put.createdAt], ['agent-1', DEFAULT_TENANT, T], 'it is the same agent')
    }),
  )

  test(
    'a list walks the rows of its tenant alone, and sorts nothing',
    withFolder(async ({ file, open }) => {
      await (await open()).stop()
      const database = new DatabaseSync(file, { readOnly: true })
      const planned = (read: (sql: Sql) => unknown): string => {
        const sql = new Planner(database)
        read(sql)
        return sql.plan.join('\n')
      }
      const tenant = 'acme'
      const plans: readonly (readonly [index: RegExp, plan: string])[] = [
        [/^SEARCH i USING INDEX inbox_tenant \(tenant=\? AND rowid<\?\)/, planned((sql) => inboxReads.list(sql, { tenant }, 7, 9))],
        [/^SEARCH s USING INDEX session_tenant \(tenant=\? AND rowid<\?\)/, planned((sql) => sessionReads.list(sql, { tenant }, 7, 9))],
        [
          /^SEARCH dead_letter USING INDEX dead_letter_tenant \(tenant=\? AND rowid<\?\)/,
          planned((sql) => letterReads.list(sql, { tenant }, 7, 9)),
        ],
        [/^SEARCH r USING INDEX run_tenant \(tenant=\? AND seq<\?\)/, planned((sql) => runReads.list(sql, { tenant }, 7, 9))],
      ]
      database.close()
      for (const [index, plan] of plans) {
        assert.match(plan, index)
        assert.doesNotMatch(plan, /SCAN|TEMP B-TREE/)
      }
    }),
  )
})
