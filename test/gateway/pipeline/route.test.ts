import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT } from '#contract'
import type { Metadata, RouteMatch } from '#contract'
import { Router } from '../../../gateway/pipeline/route.ts'

const router = (rules: readonly [agent: string, match: RouteMatch][], fallback: string | null = null): Router =>
  new Router({
    rules: rules.map(([agent, match]) => ({ id: agent, agent, tenant: DEFAULT_TENANT, match })),
    fallbacks: fallback === null ? {} : { [DEFAULT_TENANT]: fallback },
    identityLinks: {},
  })

const message = (over: { channel?: string; account?: string; sender?: string; metadata?: Metadata; tenant?: string } = {}) => ({
  tenant: DEFAULT_TENANT,
  channel: 'http',
  account: 'admin',
  sender: 'ann',
  metadata: {},
  ...over,
})

test('sends a message to the agent of the rule whose members all hold', () => {
  const to = router([['slack', { channel: 'slack', sender: 'ann' }]])
  assert.equal(to.route(message({ channel: 'slack' }))?.agent, 'slack')
  assert.equal(to.route(message({ channel: 'slack', sender: 'bob' })), null)
  assert.equal(to.route(message()), null)
})

test('prefers the most specific rule whatever its place', () => {
  const to = router([
    ['channel', { channel: 'http' }],
    ['account', { account: 'admin' }],
    ['topic', { topic: 'a.b' }],
    ['header', { headers: { 'X-Team': 'blue' } }],
    ['metadata', { metadata: { 'user.tier': 'gold' } }],
    ['sender', { sender: 'ann' }],
  ])
  const all = { topic: 'a.b', headers: { 'x-team': 'blue' }, user: { tier: 'gold' } }
  assert.equal(to.route(message({ metadata: all }))?.agent, 'sender')
  assert.equal(to.route(message({ sender: 'bob', metadata: all }))?.agent, 'metadata')
  assert.equal(to.route(message({ sender: 'bob', metadata: { topic: 'a.b', headers: { 'x-team': 'blue' } } }))?.agent, 'header')
  assert.equal(to.route(message({ sender: 'bob', metadata: { topic: 'a.b' } }))?.agent, 'topic')
  assert.equal(to.route(message({ sender: 'bob' }))?.agent, 'account')
  assert.equal(to.route(message({ sender: 'bob', account: 'other' }))?.agent, 'channel')
})

test('prefers a plain value to a pattern, and the first of two equals', () => {
  const to = router([
    ['pattern', { sender: 'a*' }],
    ['plain', { sender: 'ann' }],
    ['second', { sender: 'ann' }],
  ])
  assert.equal(to.route(message())?.agent, 'plain')
  assert.equal(to.route(message({ sender: 'abe' }))?.agent, 'pattern')
})

test('matches patterns piece by piece without overlap', () => {
  const holds = (pattern: string, sender: string): boolean => router([['x', { sender: pattern }]]).route(message({ sender })) !== null
  assert.ok(holds('*', ''))
  assert.ok(holds('a*c*e', 'abcde'))
  assert.ok(holds('a*c*e', 'ace'))
  assert.ok(!holds('a*c*e', 'abde'))
  assert.ok(!holds('ab*ba', 'aba'))
  assert.ok(!holds('a*b*b', 'ab'))
  assert.ok(!holds(`${'a*'.repeat(30)}b`, 'a'.repeat(5_000)))
})

test('matches topics by word: * is one, # any number', () => {
  const holds = (topic: string, given: string): boolean =>
    router([['x', { topic }]]).route(message({ metadata: { topic: given } })) !== null
  assert.ok(holds('user.*.created', 'user.eu.created'))
  assert.ok(!holds('user.*.created', 'user.created'))
  assert.ok(holds('user.#', 'user'))
  assert.ok(holds('user.#', 'user.a.b.c'))
  assert.ok(holds('#.created', 'a.b.created'))
  assert.ok(!holds('user.#', 'order.user'))
  assert.ok(!holds(`${'#.'.repeat(20)}x`, 'a.'.repeat(200) + 'y'))
  assert.equal(router([['x', { topic: 'a' }]]).route(message()), null)
})

test('compares metadata by path: text by pattern, other values exactly', () => {
  const holds = (metadata: RouteMatch['metadata'] & object, given: Metadata): boolean =>
    router([['x', { metadata }]]).route(message({ metadata: given })) !== null
  assert.ok(holds({ 'a.b': 7 }, { a: { b: 7 } }))
  assert.ok(!holds({ 'a.b': 7 }, { a: { b: '7' } }))
  assert.ok(holds({ 'a.b': { c: [1] } }, { a: { b: { c: [1] } } }))
  assert.ok(holds({ plan: 'pro*' }, { plan: 'pro-yearly' }))
  assert.ok(!holds({ plan: 'pro*' }, { plan: 5 }))
  assert.ok(!holds({ 'constructor.name': 'Object' }, {}))
  assert.ok(!holds({ 'a.b': 1 }, { a: 'text' }))
})

test('takes the fallback when nothing matches, and nothing when there is none', () => {
  assert.deepEqual(router([], 'main').route(message()), { agent: 'main', rule: 'fallback' })
  assert.equal(router([]).route(message()), null)
})

test('holds a message against the rules of its tenant alone, and gives it the fallback of its tenant', () => {
  const rule = (tenant: string) => ({ id: `r-${tenant}`, tenant, agent: `a-${tenant}`, match: { channel: 'http' } })
  const to = new Router({ rules: [rule('acme'), rule(DEFAULT_TENANT)], fallbacks: { acme: 'f' }, identityLinks: {} })
  assert.deepEqual(to.route(message()), { agent: 'a-default', rule: 'r-default' })
  assert.deepEqual(to.route(message({ tenant: 'acme' })), { agent: 'a-acme', rule: 'r-acme' })
  assert.deepEqual(to.route(message({ tenant: 'acme', channel: 'ws' })), { agent: 'f', rule: 'fallback' })
  assert.equal(to.route(message({ channel: 'ws' })), null)
  assert.equal(to.route(message({ tenant: 'other' })), null)
})
