/** What the operator gives by a skill's id, and guards calls with, where tenants choose ids of their own; and runs with equal keys. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, ok, runOf, worldOf } from './given.ts'

const entry = (tenants: readonly string[]) => ({
  isEnabled: true,
  network: ['api.example'],
  secrets: { TOKEN: 'hunter22' },
  grade: null,
  tenants,
})

test('secrets and hosts of an id are given to calls of the tenants that are named with it, and to no others', async () => {
  const given = (tenants: readonly string[]): ReturnType<typeof worldOf> =>
    worldOf({ skills: { it: { secrets: ['TOKEN'] } }, settings: { entries: { it: entry(tenants) } } })
  for (const tenants of [['default'], ['other'], []])
    assert.equal(codeOf(await given(tenants).run('it', 'in', { tenant: 'acme' })), 'unavailable', `named: ${tenants.join()}`)
  for (const tenants of [['acme'], ['*'], ['default', 'acme']]) {
    const world = given(tenants)
    assert.equal(codeOf(await world.run('it', 'in', { tenant: 'acme' })), 'ok', `named: ${tenants.join()}`)
    assert.deepEqual(world.sandbox.jobs[0]?.secrets, { TOKEN: 'hunter22' })
    assert.deepEqual(world.sandbox.jobs[0]?.egress, ['api.example:80', 'api.example:443'])
  }
  const open = worldOf({ skills: { it: {} }, settings: { entries: { it: entry(['default']) } } })
  assert.equal(codeOf(await open.run('it', 'in', { tenant: 'acme' })), 'ok')
  assert.deepEqual(open.sandbox.jobs[0]?.egress, [], 'what needs nothing runs, and gets nothing')
})

test("a hook is the operator's skill, told whose call it guards, and no tenant's skill of its name is let through beside it", async () => {
  const world = worldOf({
    skills: { guard: { run: ({ tenant }) => (tenant === 'default' ? ok({ refuse: 'no' }) : ok('the tenant runs its own')) }, it: {} },
    settings: { hooks: { before: ['guard'], after: [] } },
  })
  assert.equal(codeOf(await world.run('it', 'a', { tenant: 'acme', key: 'k' })), 'refused')
  const [told] = world.sandbox.jobs
  assert.deepEqual(
    [told?.tenant, told?.key, told?.input],
    [
      'default',
      'tenant:acme:k/before/guard',
      { skill: 'it', tenant: 'acme', version: '1.0.0', input: 'a', caller: { is: 'client', principal: 'ann' } },
    ],
  )
  assert.equal(codeOf(await world.run('guard', 'a', { tenant: 'acme' })), 'refused')
  assert.equal(codeOf(await world.run('guard', 'a')), 'ok', 'a hook does not guard itself')
})

test('a run that outlived the gateway is found by the tenant whose it is, not by another with the same key', async () => {
  const world = worldOf({ skills: { it: {} } })
  // A sandbox is looked into once it is there.
  await world.run('it', 'in')
  world.sandbox.adopted.set('tenant:acme:k', ok('of acme'))
  const adopt = async (tenant: string) => {
    const { input: _input, attempt: _attempt, ...run } = runOf('it', null, { tenant, key: 'k' })
    const outcome = await world.runner.adopt(run)
    return outcome?.status === 'ok' ? outcome.output : null
  }
  assert.equal(await adopt('default'), null)
  assert.equal(await adopt('other'), null)
  assert.equal(await adopt('acme'), 'of acme')
})
