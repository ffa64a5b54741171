import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPublicAddress, networkList, publicElsewhere } from '../../../gateway/guarded/address.ts'
import { Destinations } from '../../../gateway/guarded/destination.ts'
import type { DestinationRules } from '../../../gateway/guarded/destination.ts'
import { inwardUrls } from '../../support/inward-url.ts'

const rules: DestinationRules = { allowNetworks: [], isHttpsOnly: false, own: () => [] }
const refused = { code: 'URL_NOT_ALLOWED' }

test('public addresses are told from private, local and special ones', () => {
  for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111'])
    assert.equal(isPublicAddress(address), true, address)
  const special = [
    '0.0.0.0 0.1.2.3 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.255 168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1',
    '192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255',
    ':: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:db8::1 2002:7f00:1::',
    '3fff::1 5f00::1 fc00::1 fd00::1 fe80::1 fec0::1 ff02::1 no-address',
  ]
  for (const address of special.join(' ').split(' ')) assert.equal(isPublicAddress(address), false, address)
})

test('whatever leads inside is refused by its text, in all spellings', () => {
  const destinations = new Destinations(rules)
  for (const url of inwardUrls(80)) assert.throws(() => destinations.check(url), refused, url)
  for (const url of ['https://public.example/a?b=c', 'http://8.8.8.8:8080/', 'https://[2606:4700::1111]/', 'https://internal.example/'])
    assert.equal(destinations.check(url).href, url)
})

test('what is refused is told without the path, the query or a password', () => {
  const destinations = new Destinations({ ...rules, isHttpsOnly: true })
  for (const url of ['http://127.0.0.1/t0ps3cret', 'http://u:t0ps3cret@a.example', 'http://a.example/?k=t0ps3cret'])
    assert.throws(
      () => destinations.check(url),
      (error: Error) => !error.message.includes('t0ps3cret'),
    )
})

test('networks that the operator opens are reached, and no others', () => {
  const destinations = new Destinations({ ...rules, allowNetworks: ['127.0.0.0/8', '10.1.0.0/16', 'fd00::/8'] })
  for (const address of ['127.0.0.1', '10.1.2.3', 'fd00::5', '8.8.8.8', '::ffff:10.1.2.3'])
    assert.equal(destinations.permits(address), true, address)
  for (const address of ['10.2.0.1', '::1', '169.254.169.254', 'fe80::1%eth0', '192.168.0.1'])
    assert.equal(destinations.permits(address), false, address)
  assert.equal(destinations.check('http://hooks.corp.internal/').host, 'hooks.corp.internal')
  assert.equal(destinations.check('http://localhost:8080/').host, 'localhost:8080')
  assert.throws(() => destinations.check('http://metadata.google.internal/'), refused)
})

test('an address of this machine is refused although it is public', () => {
  const isElsewhere = publicElsewhere(() => ['8.8.4.4'])
  assert.deepEqual(['8.8.4.4', '8.8.8.8', '10.0.0.1'].map(isElsewhere), [false, true, false])
  const destinations = new Destinations({ ...rules, own: () => ['8.8.4.4', '2606:4700::1'] })
  assert.throws(() => destinations.check('https://8.8.4.4/'), refused)
  assert.deepEqual(
    destinations.filter([
      { address: '8.8.4.4', family: 4 },
      { address: '2606:4700::1', family: 6 },
      { address: '8.8.8.8', family: 4 },
    ]),
    [{ address: '8.8.8.8', family: 4 }],
  )
})

test('http is refused where only https is allowed, except to loopback that the operator opened', () => {
  const destinations = new Destinations({ ...rules, isHttpsOnly: true, allowNetworks: ['127.0.0.0/8', '10.0.0.0/8'] })
  for (const url of ['http://public.example/', 'http://10.0.0.1/', 'http://hooks.corp.internal/', 'http://[::1]/'])
    assert.throws(() => destinations.check(url), refused, url)
  for (const url of ['https://public.example/', 'https://10.0.0.1/', 'http://127.0.0.1:3000/', 'http://localhost:3000/'])
    assert.equal(destinations.check(url).href, url)
})

test('what is no network is refused when the rules are made', () => {
  assert.equal(networkList(['192.168.1.7'])('192.168.1.7'), true)
  assert.equal(networkList(['192.168.1.7'])('192.168.1.8'), false)
  for (const network of ['10.0.0.0/33', '10.0.0.0/', 'ten/8', '::/129', '', '10.0.0/8', '10.0.0.0/-1', '10.0.0.0/8/9'])
    assert.throws(() => networkList([network]), { code: 'NETWORK_INVALID' }, network)
})
