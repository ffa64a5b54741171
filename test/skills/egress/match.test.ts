import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { authority, parseAuthority, parseRule, permits, targetOf } from '../../../skills/egress/match.ts'
import type { Rule } from '../../../skills/egress/match.ts'

const rules = (...texts: readonly string[]): readonly Rule[] =>
  texts.map((text) => {
    const rule = parseRule(text)
    assert.ok(rule, text)
    return rule
  })
const passes = (allow: readonly string[], to: string): boolean => {
  const target = parseAuthority(to)
  assert.ok(target, to)
  return permits(rules(...allow), target) !== null
}

describe('a rule', () => {
  test('lets its host pass on 80 and 443, or on the port it names and no other', () => {
    assert.deepEqual(
      ['api.example.com:80', 'api.example.com:443', 'api.example.com:8443', 'example.com:443', 'xapi.example.com:443'].map((to) =>
        passes(['api.example.com'], to),
      ),
      [true, true, false, false, false],
    )
    assert.deepEqual(
      ['api.example.com:8443', 'api.example.com:443'].map((to) => passes(['api.example.com:8443'], to)),
      [true, false],
    )
  })

  test('with a star lets what is below its domain pass, not the domain nor what ends alike', () => {
    for (const [to, expected] of [
      ['a.example.com:443', true],
      ['a.b.example.com:443', true],
      ['example.com:443', false],
      ['.example.com:443', false],
      ['evilexample.com:443', false],
      ['example.com.evil.org:443', false],
      ['a.example.com:22', false],
    ] as const) {
      const target = parseAuthority(to)
      assert.equal(target !== null && permits(rules('*.example.com'), target) !== null, expected, to)
    }
  })

  test('of a star alone lets every host pass on the two usual ports', () => {
    assert.deepEqual(
      ['example.org:443', '8.8.8.8:80', 'example.org:22'].map((to) => passes(['*'], to)),
      [true, true, false],
    )
    assert.equal(passes(['*:22'], 'example.org:22'), true)
  })

  test('that names a host is found before a star', () => {
    assert.equal(permits(rules('*', 'a.example.com'), { host: 'a.example.com', port: 443 })?.is, 'host')
  })

  test('knows a host in any spelling', () => {
    assert.equal(passes(['API.Example.COM'], 'api.EXAMPLE.com:443'), true)
    assert.equal(passes(['api.example.com'], 'api.example.com.:443'), true)
    assert.equal(passes(['bücher.example'], 'xn--bcher-kva.example:443'), true)
    assert.equal(passes(['[2001:DB8:0::1]:443'], '[2001:db8::1]:443'), true)
  })

  test('that is none is not read as one', () => {
    const none =
      '|*.*|*example.com|a.*.com|http://a.example|a.example/x|a.example:0|a.example:70000|a@b|*.1.2.3.4|a b|a.example:|%41.example|..|*.[::1]'
    for (const text of none.split('|')) assert.equal(parseRule(text), null, text)
  })
})

test('an address has one spelling, however it is written', () => {
  const loopback = '127.0.0.1|127.1|0x7f.1|0x7f000001|2130706433|0177.0.0.1|017700000001|127.0.0.1.|１２７.0.0.1|0X7F.0.0.0x1'
  for (const host of loopback.split('|')) assert.equal(parseAuthority(`${host}:80`)?.host, '127.0.0.1', host)
  const metadata = '169.254.169.254|2852039166|0xa9fea9fe|0251.0376.0251.0376|169.16689662'
  for (const host of metadata.split('|')) assert.equal(parseAuthority(`${host}:80`)?.host, '169.254.169.254', host)
  for (const host of ['[::1]', '[0:0:0:0:0:0:0:1]', '[::0001]']) assert.equal(parseAuthority(`${host}:80`)?.host, '::1', host)
  assert.equal(parseAuthority('[::ffff:127.0.0.1]:80')?.host, '::ffff:7f00:1')
  assert.equal(authority({ host: '::1', port: 80 }), '[::1]:80')
})

test('an authority without port, with user, path or zone is none', () => {
  const none =
    'a.example|a.example:|:80|u@a.example:80|u:p@a.example:80|a.example:80/x|a.example:80#|a.example:99999|a.example:-1|[fe80::1%25eth0]:80'
  for (const text of `${none}|a b:80|a%2eb:80|[::1:80|::1:80|999.1.1.1:80|a\\b:80|a.example:80:80`.split('|'))
    assert.equal(parseAuthority(text), null, text)
})

test('the target of a URL has the port of its scheme', () => {
  assert.deepEqual(targetOf(new URL('https://A.example/x')), { host: 'a.example', port: 443 })
  assert.deepEqual(targetOf(new URL('http://a.example')), { host: 'a.example', port: 80 })
  assert.deepEqual(targetOf(new URL('http://[::1]:81')), { host: '::1', port: 81 })
})
