/** The audit while it goes on, over the real store: what an action leaves, what verification finds, what retention keeps. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { DEFAULT_TENANT } from '#contract'
import type { AuditDeed, AuditRow } from '#contract'
import { AuditKeeper } from '../../../gateway/audit/keeper.ts'
import { AuditTrail } from '../../../gateway/audit/trail.ts'
import { verifyChain } from '../../../gateway/audit/verify.ts'
import type { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeLog } from '../http/double.ts'
import { withFolder } from '../store/given.ts'

const KEY = new Uint8Array(32).fill(7)
const DAY_MS = 86_400_000
const deed = (change: Partial<AuditDeed> = {}): AuditDeed => ({
  tenant: 'default',
  actor: { id: 'ops', credential: 'key-1', ip: '127.0.0.1' },
  action: 'keys.create',
  object: null,
  requestId: 'req-1',
  traceId: null,
  detail: {},
  ...change,
})

interface Given {
  readonly store: SqliteStore
  readonly trail: AuditTrail
  readonly keeper: AuditKeeper
  readonly clock: FakeClock
  readonly log: FakeLog
  readonly file: string
  readonly checkpoints: string
  readonly rows: () => Promise<readonly AuditRow[]>
  /** Changes the file as somebody would who can write it and knows SQL, without the key. */
  readonly tamper: (sql: string) => void
}

const given = (run: (given: Given) => Promise<void>): (() => Promise<void>) =>
  withFolder(async ({ file, open }) => {
    const clock = new FakeClock()
    const log = new FakeLog()
    const trail = new AuditTrail({ clock, log, redact: (text) => text.replaceAll('s3cret-value', '***') })
    const store = await open({ auditKey: KEY, audit: trail })
    trail.use(store.audit)
    const checkpoints = join(file, '..', 'checkpoints')
    const keeper = new AuditKeeper({ store: store.audit, trail, key: KEY, keepMs: 90 * DAY_MS, checkpointFile: checkpoints, clock, log })
    await run({
      store,
      trail,
      keeper,
      clock,
      log,
      file,
      checkpoints,
      rows: () => store.audit.after('default', 0, 100),
      tamper(sql) {
        const database = new DatabaseSync(file)
        database.exec(`DROP TRIGGER IF EXISTS audit_is_final; DROP TRIGGER IF EXISTS audit_is_kept; ${sql}`)
        database.close()
      },
    })
  })

const agent = (id: string): Parameters<SqliteStore['agents']['put']>[0] => ({
  id: id as never,
  tenant: DEFAULT_TENANT,
  name: id,
  declaration: {},
  createdAt: 1,
})

test(
  'an action is one entry, in the transaction of its first write and named after what that wrote',
  given(async ({ store, trail, rows }) => {
    const result = await trail.during(deed(), async () => {
      await store.agents.put(agent('agent-1'))
      await store.agents.put(agent('agent-2'))
      return 'done'
    })
    assert.equal(result, 'done')
    await trail.during(deed({ object: 'named' }), () => store.agents.put(agent('agent-3')))
    assert.deepEqual(
      (await rows()).map(({ object, outcome }) => [object, outcome]),
      [
        ['agent-1', 'ok'],
        ['named', 'ok'],
      ],
    )
  }),
)

test(
  'an action that writes nothing, one that fails and one that is refused are entries too, and what goes on beside them is not',
  given(async ({ store, trail, rows }) => {
    await Promise.all([trail.during(deed({ action: 'link' }), () => 1), store.agents.put(agent('agent-beside'))])
    await assert.rejects(
      trail.during(deed({ action: 'broken' }), () => Promise.reject(new Error('no'))),
      /no/,
    )
    const written = Promise.withResolvers<void>()
    trail.onEntry(() => written.resolve())
    trail.denied(deed({ action: 'refused' }))
    await written.promise
    assert.deepEqual(
      (await rows()).map(({ action, outcome, detail }) => [action, outcome, detail]),
      [
        ['link', 'ok', {}],
        ['broken', 'failed', { code: 'INTERNAL' }],
        ['refused', 'denied', {}],
      ],
    )
  }),
)

test(
  'a write that fails gives its entry back to the next one',
  given(async ({ store, trail, rows }) => {
    await store.agents.put(agent('agent-1'))
    await trail.during(deed(), async () => {
      // The same id under another name breaks the table's rule.
      await assert.rejects(store.agents.put({ ...agent('agent-1'), name: 'other' }))
      await store.agents.put(agent('agent-2'))
    })
    assert.deepEqual(
      (await rows()).map(({ object }) => object),
      ['agent-2'],
    )
  }),
)

const WRONG: { readonly [what: string]: { readonly sql: string; readonly fault: unknown } } = {
  'an entry that was altered': {
    sql: `UPDATE audit SET actor = 'somebody else' WHERE seq = 2`,
    fault: { seq: 2, reason: 'entry altered' },
  },
  'an entry that was taken out': { sql: 'DELETE FROM audit WHERE seq = 2', fault: { seq: 2, reason: 'entry missing' } },
  'a beginning that was taken away': { sql: 'DELETE FROM audit WHERE seq = 1', fault: { seq: 1, reason: 'entry missing' } },
  'an end that was cut off': { sql: 'DELETE FROM audit WHERE seq >= 3', fault: { seq: 4, reason: 'end cut off' } },
  'two entries that changed places': {
    sql: 'UPDATE audit SET seq = 9 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 9',
    fault: { seq: 2, reason: 'entry missing' },
  },
  'an entry whose detail is no JSON any more': {
    sql: `UPDATE audit SET detail = '{' WHERE seq = 2`,
    fault: { seq: 2, reason: 'entry altered' },
  },
  'an entry whose time is none': {
    sql: 'UPDATE audit SET at = 9000000000000000 WHERE seq = 2',
    fault: { seq: 2, reason: 'entry altered' },
  },
  'an entry whose time is no number of JavaScript': {
    sql: 'UPDATE audit SET at = 9223372036854775807 WHERE seq = 2',
    fault: { seq: 2, reason: 'entry altered' },
  },
  'everything, with a seal of their own': {
    sql: `INSERT INTO audit_seal SELECT tenant, seq, hash, at, hash FROM audit WHERE seq = 3; DELETE FROM audit WHERE seq <= 3`,
    fault: { seq: 3, reason: 'seal forged' },
  },
}
for (const [what, { sql, fault }] of Object.entries(WRONG)) {
  test(
    `verification finds ${what}`,
    given(async ({ trail, keeper, tamper }) => {
      for (let i = 0; i < 4; i++) await trail.note('step', { i }, 'default')
      await keeper.checkpoint()
      assert.deepEqual(await keeper.verify('default'), {
        ...(await keeper.verify('default')),
        ok: true,
        entries: 4,
        checkpoints: 1,
        fault: null,
      })
      tamper(sql)
      const verdict = await keeper.verify('default')
      assert.deepEqual([verdict.ok, verdict.fault], [false, fault])
    }),
  )
}

test(
  'a chain that somebody with the key wrote anew does not agree with the checkpoints',
  given(async ({ store, trail, keeper, tamper }) => {
    await trail.note('true', {}, 'default')
    await keeper.checkpoint()
    tamper('DELETE FROM audit')
    await store.audit.append({ ...deed(), at: 1, outcome: 'ok', action: 'false' })
    assert.deepEqual((await keeper.verify('default')).fault, { seq: 1, reason: 'history replaced' })
  }),
)

test(
  'the file itself refuses to alter or delete an entry',
  given(async ({ trail, file }) => {
    await trail.note('step', {}, 'default')
    const database = new DatabaseSync(file)
    assert.throws(() => database.exec(`UPDATE audit SET actor = 'x'`), /append-only/)
    assert.throws(() => database.exec('DELETE FROM audit'), /append-only/)
    database.close()
  }),
)

test(
  'what is older than the retention goes each hour under a seal, and the rest still verifies',
  given(async ({ trail, keeper, clock, rows, checkpoints, log }) => {
    await keeper.start()
    await trail.note('old', {}, 'default')
    clock.advance(60 * DAY_MS)
    await trail.note('young', {}, 'default')
    const sealed = Promise.withResolvers<void>()
    trail.onEntry(() => sealed.resolve())
    clock.advance(31 * DAY_MS)
    await sealed.promise
    assert.deepEqual(
      (await rows()).map(({ seq, action }) => [seq, action]),
      [
        [2, 'young'],
        [3, 'audit.sealed'],
      ],
    )
    await keeper.stop()
    const verdict = await keeper.verify('default')
    assert.deepEqual([verdict.ok, verdict.sealed, verdict.entries], [true, 1, 2])
    assert.equal(verdict.checkpoints > 0, true)
    assert.match(await readFile(checkpoints, 'utf8'), /"seq":3/)
    assert.equal(
      log.lines.some(({ message, fields }) => message === 'Checkpoint of the audit.' && fields['seq'] === 3),
      true,
    )
  }),
)

test(
  'retention takes nothing away that is young, though the clock was wrong once',
  given(async ({ trail, keeper, clock, rows }) => {
    await trail.note('young', {}, 'default')
    const now = clock.now()
    clock.advance(-now)
    await trail.note('in 1970, by the clock', {}, 'default')
    clock.advance(now)
    await trail.note('young too', {}, 'default')
    assert.equal(await keeper.prune(), 0)
    assert.deepEqual(
      (await rows()).map(({ action }) => action),
      ['young', 'in 1970, by the clock', 'young too'],
    )
  }),
)

test(
  'entries go under a seal and the entry of it in one transaction: there is never one without the other',
  given(async ({ store, trail, keeper, clock, rows }) => {
    await trail.note('old', {}, 'default')
    clock.advance(91 * DAY_MS)
    // What would be written beside the seal is never written: the process dies in between.
    trail.use({ ...store.audit, append: () => Promise.reject(new Error('killed')) })
    await keeper.prune().catch(() => undefined)
    assert.deepEqual(
      (await rows()).map(({ seq, action, detail }) => [seq, action, detail]),
      [[2, 'audit.sealed', { seq: 1, entries: 1 }]],
    )
    assert.equal((await keeper.verify('default')).ok, true)
  }),
)

test(
  'what an action that failed left running is not told as its success',
  given(async ({ store, trail, rows }) => {
    const goOn = Promise.withResolvers<void>()
    let left: Promise<unknown> = Promise.resolve()
    await assert.rejects(
      trail.during(deed(), () => {
        left = goOn.promise.then(() => store.agents.put(agent('agent-late')))
        throw new Error('no')
      }),
    )
    goOn.resolve()
    await left
    assert.deepEqual(
      (await rows()).map(({ outcome }) => outcome),
      ['failed'],
    )
  }),
)

test(
  'no secret stands in an entry, whatever it was sent as',
  given(async ({ trail, rows }) => {
    const detail = { body: { url: 'https://x/?a=s3cret-value', list: ['s3cret-value'], password: 'anything', 's3cret-value': 1 } }
    await trail.during(deed({ object: 's3cret-value', detail }), () => 1)
    trail.denied(deed())
    const [row] = await rows()
    assert.equal(row?.object, '***')
    assert.deepEqual(row.detail, { body: { url: 'https://x/?a=***', list: ['***'], password: '***', '***': 1 } })
  }),
)

test(
  'an owner whose name is no Unicode is in the audit like any other',
  given(async ({ trail, keeper, rows }) => {
    await trail.during(deed({ actor: { id: 'eve\ud800', credential: 'token-1', ip: null }, object: '\udc00' }), () => 1)
    assert.deepEqual(
      (await rows()).map(({ actor, object }) => [actor.id, object]),
      [['eve\ufffd', '\ufffd']],
    )
    assert.equal((await keeper.verify('default')).ok, true)
  }),
)

test(
  'nobody gets the gateway to take entries away by making them look old',
  given(async ({ trail, keeper, tamper, rows, log }) => {
    for (let i = 0; i < 4; i++) await trail.note('step', { i }, 'default')
    tamper('UPDATE audit SET at = 1 WHERE seq <= 3')
    assert.equal(await keeper.prune(), 0)
    assert.equal((await rows()).length, 4)
    assert.deepEqual((await keeper.verify('default')).fault, { seq: 1, reason: 'entry altered' })
    assert.equal(
      log.lines.some(({ level, fields }) => level === 'error' && fields['seq'] === 1 && fields['tenant'] === 'default'),
      true,
    )
  }),
)

test(
  'a seal in the midst of a verification is no fault',
  given(async ({ store, trail, keeper, clock }) => {
    await trail.note('old', {}, 'default')
    clock.advance(91 * DAY_MS)
    await trail.note('young', {}, 'default')
    let isFirst = true
    const after: typeof store.audit.after = async (...asked) => {
      if (isFirst) await keeper.prune()
      isFirst = false
      return store.audit.after(...asked)
    }
    const sealOf: typeof store.audit.sealOf = (tenant) => store.audit.sealOf(tenant)
    const verdict = await verifyChain({ store: { after, sealOf }, key: KEY, tenant: 'default', checkpoints: [] })
    assert.deepEqual([verdict.ok, verdict.sealed, verdict.entries], [true, 1, 2])
  }),
)
