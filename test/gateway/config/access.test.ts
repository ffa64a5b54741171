import assert from 'node:assert/strict'
import test from 'node:test'
import type { AccessPolicy } from '#contract'
import { accessPolicy, defaultPolicy } from '../../../gateway/config/access.ts'
import { formatFault, loadConfig } from '../../../gateway/config/load.ts'
import type { Loaded } from '../../../gateway/config/load.ts'
import { folder } from './folder.ts'

async function load(t: test.TestContext, yaml: string): Promise<Loaded> {
  const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': yaml }), env: {} })
  return loaded.ok ? loaded : assert.fail(loaded.faults.map(formatFault).join('\n'))
}

test('without a rule strangers pair, groups are by list and by mention, and bots are ignored', () => {
  const expected: AccessPolicy = {
    direct: 'pairing',
    allow: [],
    group: 'allowlist',
    groupAllow: [],
    isMentionRequired: true,
    bots: 'ignore',
  }
  assert.deepEqual(defaultPolicy, expected)
})

test('the rule for groups follows the one for direct messages where that is open or off', () => {
  for (const access of ['open', 'off'] as const) assert.equal(accessPolicy({ access }).group, access)
  for (const access of ['allowlist', 'pairing'] as const) assert.equal(accessPolicy({ access }).group, 'allowlist')
  assert.equal(accessPolicy({ access: 'open', group_access: 'off' }).group, 'off')
  assert.equal(accessPolicy({ access: 'off', group_access: 'open' }).group, 'open')
})

test('a star in allow opens direct messages and nothing else, and leaves what is off', () => {
  const starred = accessPolicy({ allow: ['*', 'ann'], require_mention: true })
  assert.deepEqual(starred, { ...defaultPolicy, direct: 'open', allow: ['ann'] })
  assert.equal(accessPolicy({ access: 'off', allow: ['*'] }).direct, 'off')
  assert.equal(accessPolicy({ access: 'allowlist', allow: ['*'] }).direct, 'open')
})

test('a star in group_allow opens groups and nothing else, and leaves what is off', () => {
  assert.deepEqual(accessPolicy({ group_allow: ['*', 'g1'] }), { ...defaultPolicy, group: 'open', groupAllow: ['g1'] })
  assert.equal(accessPolicy({ group_access: 'off', group_allow: ['*'] }).group, 'off')
})

test("the shared keys become the channel's policy and do not reach the schema of its kind", async (t) => {
  const loaded = await load(
    t,
    'channels:\n  phone:\n    access: off\n    allow: [+49151, ann]\n    group_access: open\n    group_allow: [-100]\n    require_mention: false\n    bots: allow\n    token: abc\n',
  )
  const [channel = assert.fail()] = loaded.config.channels
  assert.deepEqual(channel.settings, { token: 'abc' })
  const expected: AccessPolicy = {
    direct: 'off',
    allow: ['+49151', 'ann'],
    group: 'open',
    groupAllow: ['-100'],
    isMentionRequired: false,
    bots: 'allow',
  }
  assert.deepEqual(channel.access, expected)
  const properties = { token: { type: 'string' }, poll: { type: 'integer', default: 5 } }
  const { settings, faults } = loaded.checkChannel('phone', { type: 'object', properties, additionalProperties: false })
  assert.deepEqual(faults, [])
  assert.deepEqual(settings, { token: 'abc', poll: 5 }, 'with the defaults of the kind')
})

test('a rule that is no rule is a fault in its place', async (t) => {
  const yaml = 'channels:\n  phone:\n    access: everybody\n    allow: ann\n    require_mention: maybe\n    bots: some\n'
  const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': yaml }), env: {} })
  assert.deepEqual(loaded.ok ? [] : loaded.faults.map(({ path, line }) => [path, line]), [
    ['channels.phone.access', 3],
    ['channels.phone.allow', 4],
    ['channels.phone.require_mention', 5],
    ['channels.phone.bots', 6],
  ])
})

test('an access rule of a channel that strangers cannot reach is told in its place', async (t) => {
  const loaded = await load(t, 'channels:\n  queue:\n    kind: broker\n    access: open\n    url: x\n    allow: [ann]\n')
  assert.deepEqual(loaded.vainAccess('queue').map(formatFault), [
    'openclaw.yaml:4:5 channels.queue.access: an access rule, expected none: who may write to this channel is told by keys and brokers, not by a list of senders',
    'openclaw.yaml:6:5 channels.queue.allow: an access rule, expected none: who may write to this channel is told by keys and brokers, not by a list of senders',
  ])
  assert.deepEqual(loaded.vainAccess('other'), [])
})
