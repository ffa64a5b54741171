/** How much anybody may ask, who counts as whom, and who is shut out for guessing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeniedError } from '#contract'
import type { Route } from '#contract'
import { Buckets } from '../../../gateway/http/buckets.ts'
import { echoRoute, problem, startServer } from './double.ts'
import { exchange, lines } from './raw.ts'

const WRONG = `Bearer ock_live_abcdefgh_${'x'.repeat(43)}`

test('a bucket gives what it holds, refills evenly, and forgets the key that was used longest ago', () => {
  const buckets = new Buckets({ name: 'key', count: 3, windowMs: 60_000 }, 2)
  const take = (key: string, at: number): readonly [boolean, number, number] => {
    const { isAllowed, remaining, seconds } = buckets.take(key, at)
    return [isAllowed, remaining, seconds]
  }
  assert.deepEqual(take('a', 0), [true, 2, 20])
  assert.deepEqual(take('a', 0), [true, 1, 40])
  assert.deepEqual(take('a', 0), [true, 0, 60])
  assert.deepEqual(take('a', 0), [false, 0, 20])
  assert.deepEqual(take('a', 19_000), [false, 0, 1])
  assert.deepEqual(take('a', 20_000), [true, 0, 60])
  // A clock that was set back gives nothing away and takes nothing.
  assert.deepEqual(take('a', 1_000)[0], false)
  take('b', 0)
  take('c', 0)
  assert.equal(buckets.size, 2)
  assert.deepEqual(take('a', 20_000), [true, 2, 20])
})

test('each credential has its own allowance, told on every answer, and 429 says when to come back', async (t) => {
  const { call, keyFor, hub } = await startServer(t, { rateLimits: { perIp: 100, perKey: 3 } })
  const first = await call('/v1/agents')
  assert.equal(first.headers.get('ratelimit-policy'), '"key";q=3;w=60')
  assert.equal(first.headers.get('ratelimit'), '"key";r=2;t=20')
  assert.equal(first.headers.get('x-ratelimit-limit'), '3')
  assert.equal((await call('/v1/messages', { method: 'POST', json: {} })).headers.get('x-ratelimit-remaining'), '1')
  assert.equal((await call('/v1/keys/none', { method: 'DELETE' })).headers.get('ratelimit'), '"key";r=0;t=60', 'on a problem too')
  const refused = await call('/v1/agents')
  assert.equal(refused.headers.get('retry-after'), '20')
  assert.equal(refused.headers.get('ratelimit'), '"key";r=0;t=20')
  const told = await problem(refused, 429)
  assert.equal(told['type'], 'https://iana.org/assignments/http-problem-types#quota-exceeded')
  assert.deepEqual(told['violated-policies'], ['key'])
  assert.equal(hub.metrics.value('openclaw_rate_limited_total key'), 1)
  const { secret } = await keyFor(['*'])
  assert.equal((await call('/v1/agents', { headers: { authorization: `Bearer ${secret}` } })).status, 200)
  hub.clock.advance(20_000)
  assert.equal((await call('/v1/agents')).status, 200)
})

test('without a valid credential the address is counted, known ones beside it are not', async (t) => {
  const { call } = await startServer(t, { rateLimits: { perIp: 2, perKey: 100 } })
  assert.equal((await call('/version', { headers: { authorization: 'none' } })).status, 200)
  assert.equal((await call('/v1/agents', { headers: { authorization: 'none' } })).status, 401)
  const refused = await problem(await call('/version', { headers: { authorization: 'none' } }), 429)
  assert.deepEqual(refused['violated-policies'], ['ip'])
  assert.equal((await call('/nothing', { headers: { authorization: 'none' } })).status, 429)
  assert.equal((await call('/v1/agents')).status, 200)
})

test('who is counted is who is connected, or whom a trusted proxy names; what others claim is worth nothing', async (t) => {
  const own = await startServer(t, { rateLimits: { perIp: 1, perKey: 100 } })
  const from = (call: typeof own.call, forwarded: string): Promise<number> =>
    call('/version', { headers: { authorization: 'none', 'x-forwarded-for': forwarded } }).then(({ status }) => status)
  assert.equal(await from(own.call, '9.9.9.1'), 200)
  assert.equal(await from(own.call, '9.9.9.2'), 429)
  const behind = await startServer(t, { rateLimits: { perIp: 1, perKey: 100 }, trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] })
  assert.equal(await from(behind.call, '9.9.9.1'), 200)
  assert.equal(await from(behind.call, '9.9.9.2'), 200)
  assert.equal(await from(behind.call, '1.1.1.1, 9.9.9.1'), 429, 'what the client wrote before its proxy did')
  assert.equal(await from(behind.call, '9.9.9.1, 10.1.2.3'), 429, 'a second proxy of ours')
  assert.equal(await from(behind.call, 'nonsense'), 200, 'the proxy itself')
})

test('the addresses of one IPv6 network are one caller, however they are spelt, and IPv4 in their clothes is IPv4', async (t) => {
  const { call, hub } = await startServer(t, { rateLimits: { perIp: 1, perKey: 100 }, trustedProxies: ['127.0.0.0/8'] })
  const from = (address: string): Promise<number> =>
    call('/v1/openapi.json', { headers: { authorization: 'none', 'x-forwarded-for': address } }).then(({ status }) => status)
  assert.equal(await from('2001:db8:0:7::1'), 200)
  for (const same of [
    '2001:db8:0:7::2',
    '2001:DB8:0:7:ffff::',
    '2001:0db8:0000:0007:1:2:3:4',
    '2001:db8::7:0:0:1.2.3.4',
    '2001:db8:0:7::9%eth0',
  ])
    assert.equal(await from(same), 429, same)
  for (const other of ['2001:db8:0:8::1', '2001:db8::1', 'fe80::1', '::1']) assert.equal(await from(other), 200, other)
  assert.equal(await from('9.9.9.1'), 200)
  for (const same of ['::ffff:9.9.9.1', '::ffff:909:901', '0:0:0:0:0:ffff:0909:0901']) assert.equal(await from(same), 429, same)
  assert.equal(await from('::ffff:9.9.9.2'), 200)

  hub.clock.advance(60_000)
  const guess = (address: string): Promise<number> =>
    call('/v1/agents', { headers: { authorization: WRONG, 'x-forwarded-for': address } }).then(({ status }) => status)
  await call('/v1/agents')
  for (let i = 0; i < 10; i++) await guess(`2001:db8:0:7::${i}`)
  const shut = await call('/v1/agents', { headers: { 'x-forwarded-for': '2001:db8:0:7:a:b:c:d' } })
  assert.equal((await problem(shut, 429))['code'], 'LOCKED_OUT')
  assert.equal((await call('/v1/agents', { headers: { 'x-forwarded-for': '2001:db8:0:8::1' } })).status, 200)
})

test('ten wrong credentials shut the address out for five minutes, before any is looked at', async (t) => {
  const { call, key, hub, url } = await startServer(t, { publicHosts: ['gateway.example'] })
  // A page in a browser sends these; programs of this machine do not.
  const page = { 'sec-fetch-site': 'cross-site' }
  const guess = (authorization = WRONG): Promise<Response> => call('/v1/agents', { headers: { ...page, authorization } })
  for (let i = 0; i < 10; i++) assert.equal((await guess()).status, 401)
  const shut = await guess(`Bearer ${key}`)
  assert.equal(shut.headers.get('retry-after'), '300')
  assert.equal((await problem(shut, 429))['code'], 'LOCKED_OUT')
  assert.equal((await call('/v1/agents')).status, 200, 'a program of this machine')
  for (const proxied of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip', 'x-forwarded-host', 'x-forwarded-proto'])
    assert.equal((await call('/v1/agents', { headers: { [proxied]: '9.9.9.9' } })).status, 429, 'but not one behind a proxy')
  const named = lines('GET /v1/agents HTTP/1.1', 'Host: gateway.example', `Authorization: Bearer ${key}`, 'Connection: close', '')
  assert.match(await exchange(url, named), /^HTTP\/1\.1 429 /, 'nor one that was asked for by a public name')
  hub.clock.advance(299_000)
  assert.equal((await guess(`Bearer ${key}`)).status, 429)
  hub.clock.advance(1_000)
  assert.equal((await guess(`Bearer ${key}`)).status, 200)
  for (let i = 0; i < 9; i++) assert.equal((await guess()).status, 401)
  hub.clock.advance(60_000)
  assert.equal((await guess()).status, 401, 'failures of more than a minute ago are forgotten')
  assert.equal((await guess(`Bearer ${key}`)).status, 200)
})

test('signatures that do not fit shut out of where they were sent, and of nothing else', async (t) => {
  const hook = (path: string): Route =>
    echoRoute({
      path,
      aliases: [],
      permission: 'signed',
      handle: ({ headers }) => {
        if (headers['x-signature'] === 'right') return { status: 202 }
        throw new DeniedError('It does not fit.', { code: 'SIGNATURE_INVALID', reason: 'forbidden' })
      },
    })
  const { call } = await startServer(t, { routes: [hook('/hooks/one'), hook('/hooks/two')] })
  const send = async (path: string, signature: string): Promise<number> => {
    const headers = { authorization: 'none', 'x-signature': signature, 'sec-fetch-site': 'cross-site' }
    return (await call(path, { method: 'POST', headers })).status
  }
  for (let i = 0; i < 10; i++) assert.equal(await send('/hooks/one', 'wrong'), 403)
  assert.equal(await send('/hooks/one', 'right'), 429)
  assert.equal(await send('/hooks/two', 'right'), 202)
})

test('keys that are tried at the sign-in of the page are guesses too', async (t) => {
  const { call, key, hub } = await startServer(t)
  const headers = { authorization: 'none', 'sec-fetch-site': 'same-origin' }
  const signIn = async (given: string): Promise<number> =>
    (await call('/v1/console/session', { method: 'POST', json: { key: given }, headers })).status
  for (let i = 0; i < 10; i++) assert.equal(await signIn('ock_live_wrong'), 401)
  assert.equal(await signIn(key), 429)
  hub.clock.advance(300_000)
  assert.equal(await signIn(key), 204)
})
