import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT } from '#contract'
import type { Inbound, SessionScope } from '#contract'
import { SessionKeys } from '../../../gateway/pipeline/session-key.ts'

const keys = new SessionKeys({ alice: ['telegram:123', 'slack:U1'] })
const key = (scope: SessionScope, channel: string, account: string, peer: Partial<Inbound['peer']> = {}): string =>
  keys.of({ tenant: DEFAULT_TENANT, name: 'main', sessionScope: scope }, channel, {
    account,
    peer: { kind: 'direct', id: '123', thread: null, ...peer },
  }).key

test('gives each sender of each channel and account a session of their own by default', () => {
  assert.equal(key('per-channel-peer', 'http', 'admin'), 'agent:main:http:admin:direct:123')
  assert.equal(key('per-account-channel-peer', 'http', 'admin'), 'agent:main:http:admin:direct:123')
  assert.equal(key('per-channel-peer', 'http', 'admin', { thread: '7' }), 'agent:main:http:admin:direct:123:thread:7')
})

test('joins by scope: everybody, or one person across channels', () => {
  assert.equal(key('main', 'http', 'admin', { thread: '7' }), 'agent:main:*:*:direct:*')
  assert.equal(key('per-peer', 'http', 'admin'), 'agent:main:*:admin:direct:123')
  assert.equal(key('per-peer', 'telegram', 'bot'), key('per-peer', 'slack', 'T1', { id: 'U1' }))
})

test('keeps a group one conversation whatever the scope', () => {
  assert.equal(key('main', 'telegram', 'bot', { kind: 'group', id: '-100' }), 'agent:main:telegram:bot:group:-100')
})

test('lets no name from outside look like another session', () => {
  const odd = ['a:b', 'a%3Ab', '*', 'a/b', 'ü', 'a b', '', '\ud800', '"\ud800"', '\ud801']
  const made = odd.map((id) => key('per-channel-peer', 'http', 'admin', { id }))
  assert.equal(new Set(made).size, odd.length)
  for (const text of made) assert.match(text, /^agent:main:http:admin:direct:[^:*]*$/)
})

test('no session of one tenant is that of another, whatever agents and people are called', () => {
  const message = { account: 'admin', peer: { kind: 'direct', id: '123', thread: null } } as const
  const of = (tenant: string, name = 'main') => keys.of({ tenant, name, sessionScope: 'main' }, 'http', message)
  assert.equal(of('acme').key, 'tenant:acme:agent:main:*:*:direct:*')
  assert.equal(of('acme').tenant, 'acme')
  assert.notEqual(of('acme').key, of(DEFAULT_TENANT).key)
  assert.notEqual(of('acme').key, of('other').key)
  assert.equal(of('a:agent').key, 'tenant:a%3Aagent:agent:main:*:*:direct:*')
})
