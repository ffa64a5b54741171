/** Commands that share a transaction: who is hurt by whom. */
import { ConflictError } from '#contract'
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import type { Side } from '../../../gateway/store/command.ts'
import { call, runGroup } from '../../../gateway/store/group.ts'
import type { Connection } from '../../../gateway/store/group.ts'
import { Sql } from '../../../gateway/store/sql.ts'
import type { Job } from '../../../gateway/store/wire.ts'

const refusal = (): never => {
  throw new ConflictError('Refused.', { code: 'REFUSED' })
}
const side: Side = {
  row: {
    add: (sql: Sql, name: string) => sql.insert('INSERT INTO row (name) VALUES (?)', name),
    refuse: () => refusal(),
    addAndRefuse(sql: Sql, name: string) {
      sql.insert('INSERT INTO row (name) VALUES (?)', name)
      refusal()
    },
    addAndBreak(sql: Sql, name: string) {
      sql.insert('INSERT INTO row (name) VALUES (?)', name)
      throw new TypeError('A mistake in the program.')
    },
  },
}

function given(): Connection & { readonly names: () => readonly string[]; readonly database: DatabaseSync } {
  const database = new DatabaseSync(':memory:')
  database.exec('CREATE TABLE row (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT')
  const sql = new Sql(database)
  return {
    sql,
    file: ':memory:',
    side,
    auditKey: new Uint8Array(0),
    failed: new Set(),
    database,
    names: () => sql.all<{ name: string }>('SELECT name FROM row ORDER BY id').map((row) => row.name),
  }
}

let id = 0
const job = (name: string, ...args: readonly string[]): Job => ({
  id: ++id,
  name: `row.${name}`,
  patienceMs: 0,
  args: JSON.stringify(args),
  audit: '',
  after: 0,
  texts: [],
})

describe('a group of commands', () => {
  test('commits together and answers in order', () => {
    const on = given()
    const jobs = [job('add', 'a'), job('add', 'b')]
    const { answers, left, fault } = runGroup(on, jobs)
    assert.deepEqual(answers, [
      { id: jobs[0]?.id, ok: true, value: '1' },
      { id: jobs[1]?.id, ok: true, value: '2' },
    ])
    assert.deepEqual([left, fault, on.database.isTransaction], [[], null, false])
  })

  test('is not disturbed by a command that refuses before it writes', () => {
    const on = given()
    const { answers } = runGroup(on, [job('add', 'a'), job('refuse'), job('add', 'b')])
    assert.deepEqual(
      answers.map((answer) => answer.ok),
      [true, false, true],
    )
    assert.deepEqual(on.names(), ['a', 'b'])
  })

  for (const bad of [job('addAndRefuse', 'x'), job('addAndBreak', 'x'), job('add', 'a'), job('add', '\ud800'), job('nothing')]) {
    test(`loses nothing of its others when ${bad.name}(${bad.args}) fails in the middle`, () => {
      const on = given()
      const { answers, left } = runGroup(on, [job('add', 'a'), bad, job('add', 'b')])
      assert.deepEqual(
        answers.map((answer) => answer.ok),
        [true, false, true],
      )
      assert.deepEqual([on.names(), left, on.database.isTransaction], [['a', 'b'], [], false])
    })
  }

  for (const bad of [job('refuse'), job('addAndBreak', 'x')]) {
    test(`does nothing that was to come after ${bad.name}, which failed, in this group or a later one`, () => {
      const on = given()
      const next = { ...job('add', 'next'), after: bad.id }
      const last = { ...job('add', 'last'), after: next.id }
      const codes = [...runGroup(on, [bad, next]).answers, ...runGroup(on, [last, job('add', 'other')]).answers].map(
        ({ ok, value }) => ok || JSON.parse(value).code,
      )
      assert.deepEqual(codes.slice(1), ['STORE_OUT_OF_ORDER', 'STORE_OUT_OF_ORDER', true])
      assert.deepEqual(on.names(), ['other'])
    })
  }

  test('lets all others go on when a look at the disk has failed, which nobody waits for', () => {
    const on = given()
    const { answers } = runGroup(on, [{ ...job('refuse'), id: 0 }, job('add', 'a')])
    assert.deepEqual([answers.map(({ ok }) => ok), on.names()], [[false, true], ['a']])
  })

  test('is given back whole when the storage refuses', () => {
    const on = given()
    on.database.exec('PRAGMA max_page_count = 4')
    const jobs = [job('add', 'a'), job('add', 'x'.repeat(100_000)), job('add', 'b')]
    const { answers, left, fault } = runGroup(on, jobs)
    assert.deepEqual([answers, left, fault?.code, on.names(), on.database.isTransaction], [[], jobs, 'STORE_FULL', [], false])
  })

  test('knows no command that was not given', () => {
    const on = given()
    assert.throws(() => call(on, { ...job('add'), name: 'nowhere' }), /no command/)
  })
})

test('what was read once and kept in mind is forgotten when the group that it was read in is rolled back', () => {
  const { sql } = given()
  const names = (): number => sql.remember('names', () => sql.all('SELECT name FROM row').length)
  sql.begin()
  sql.insert('INSERT INTO row (name) VALUES (?)', 'a')
  assert.equal(names(), 1)
  sql.rollback()
  assert.equal(names(), 0)
  sql.insert('INSERT INTO row (name) VALUES (?)', 'b')
  assert.equal(names(), 0)
  sql.forget('names')
  assert.equal(names(), 1)
})
