import assert from 'node:assert/strict'
import test from 'node:test'
import { InvalidError } from '#contract'
import { Redactor } from '../../../gateway/observe/redact.ts'

// Put together here, so that no scanner of repositories takes them for real ones.
const JWT = ['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiIxIn0', 'c2lnbmF0dXJlLWJ5dGVz'].join('.')
const SECRETS: readonly (readonly [kind: string, text: string, secret: string])[] = [
  ['a bearer token', 'got Authorization: Bearer abc123.def~x+/= from', 'abc123.def'],
  ['a bearer token in lower case', 'bearer  0123456789', '0123456789'],
  ['basic credentials', 'authorization: Basic dXNlcjpwYXNz', 'dXNlcjpwYXNz'],
  ['a JSON Web Token', `token is ${JWT}!`, 'c2lnbmF0dXJl'],
  ['a key of ours', `ock_live_${'x'.repeat(8)}_${'x'.repeat(43)}`, 'xxxx'],
  ['a webhook secret', `whsec_${'Q'.repeat(32)}==`, 'QQQQ'],
  ['a Slack bot token', `xoxb-${'1'.repeat(12)}-abc`, '1111'],
  ['a Slack app token', `xapp-${'1'.repeat(12)}-abc`, '1111'],
  ['a Telegram token in a path', `https://api.example/bot${'1'.repeat(9)}:${'A'.repeat(35)}/getFile`, 'AAAA'],
  ['an AWS key id', `key AKIA${'A1B2'.repeat(4)} used`, 'A1B2'],
  ['a model provider key', `sk-proj-${'z'.repeat(24)}`, 'zzzz'],
  ['a GitHub token', `ghp_${'k'.repeat(36)}`, 'kkkk'],
  ['a private key', `x -----BEGIN EC PRIVATE KEY-----\nMHcCAQ\nEEII\n-----END EC PRIVATE KEY----- y`, 'MHcCAQ'],
  ['a private key cut short', '-----BEGIN PRIVATE KEY-----\nMHcCAQ', 'MHcCAQ'],
  ['user and password in an address', 'amqp://guest:hunter22@mq:5672/', 'hunter22'],
  ['a password with an @ in an address', 'amqp://guest:hunt@er22@mq:5672/', 'er22'],
  ['a secret in a query', 'GET /x?a=1&access_token=hunter22&b=2', 'hunter22'],
  ['a token parted by a terminal escape', 'Bearer abc\u001b[31m123456', '123456'],
]

for (const [kind, text, secret] of SECRETS) {
  test(`masks ${kind}`, () => {
    const clean = new Redactor().text(text)
    assert.ok(!clean.includes(secret), clean)
    assert.match(clean, /\*\*\*/)
  })
}

test('words around a secret stay', () => {
  const redactor = new Redactor()
  assert.equal(redactor.text('GET /x?a=1&token=hunter22&b=2 ok'), 'GET /x?a=1&token=***&b=2 ok')
  assert.equal(redactor.text('amqp://guest:hunter22@mq:5672/'), 'amqp://***@mq:5672/')
  assert.equal(redactor.text('x -----BEGIN A KEY-----\nq\n-----END A KEY----- y'), 'x *** y')
})

test('ordinary words, ids and times are not masked', () => {
  const redactor = new Redactor()
  for (const text of [
    'msg-01J0000000ABCDEFGHJKMNPQRS on agent:support:http:admin:direct:alice',
    '2026-07-29T12:00:00.000Z listening on http://127.0.0.1:8400/v1?limit=50',
    'tokens=120 cost=0.0003 basic authentication is not served, bearer is',
    'Grüße 👋 日本語',
  ]) {
    assert.equal(redactor.text(text), text)
  }
})

test('an exact value is masked wherever it stands, also percent-encoded, but not one too short to tell', () => {
  const redactor = new Redactor()
  redactor.add('p@ss/word+1')
  redactor.add('p@ss/word+1 and more')
  redactor.add('abc')
  assert.equal(redactor.text('a p@ss/word+1 b p%40ss%2Fword%2B1 c abc'), 'a *** b *** c abc')
  assert.equal(redactor.text('p@ss/word+1 and more'), '***')
})

test('members are masked by name at any depth, whatever their value', () => {
  const clean = new Redactor().fields({
    token: 'x',
    headers: { Authorization: 'anything', cookie: ['a', 'b'], accept: 'text/html' },
    list: [{ botToken: { nested: 1 } }],
    usage: { max_tokens: 5, tokens: 7 },
    api_key: null,
    gone: undefined,
  })
  assert.deepEqual(clean, {
    token: '***',
    headers: { Authorization: '***', cookie: '***', accept: 'text/html' },
    list: [{ botToken: '***' }],
    usage: { max_tokens: 5, tokens: 7 },
    api_key: null,
  })
})

test('line ends, terminal escapes, control and direction characters cannot forge a line', () => {
  const text = new Redactor().text('a\r\nINFO fake\u001b[2J\u001b]0;title\u0007 b\u0000c\u202ed\u2028e\u009b1mf\tg')
  assert.equal(text, 'a INFO fake b c d ef g')
})

test('words, depth and breadth are bounded', () => {
  const redactor = new Redactor()
  const text = redactor.text('x'.repeat(100_000))
  assert.ok(text.length < 9_000)
  assert.match(text, /… \(91808 more\)$/)
  let deep: { [k: string]: unknown } | string = 'end'
  for (let i = 0; i < 100; i++) deep = { deep }
  const fields = { deep: JSON.parse(JSON.stringify(deep)), wide: Array.from({ length: 1_000 }, () => 1) }
  assert.ok(JSON.stringify(redactor.fields(fields)).length < 500)
})

test('half a secret is not kept where a long text is cut, however much of it was masked', () => {
  const redactor = new Redactor()
  redactor.add('the-secret-of-the-house')
  const text = `Bearer ${'a'.repeat(12_000)} ${'b '.repeat(2_182)}`
  assert.equal(text.length, 16_372)
  assert.doesNotMatch(redactor.text(`${text}the-secret-of-the-house and more`), /the-secret/)
})

test('the scan of a hostile text costs what its length costs', () => {
  const redactor = new Redactor()
  const before = process.cpuUsage()
  for (const part of ['-----BEGIN A-----', 'eyJ', 'bearer ', 'a://', '1234567890', '\u001b]', '&key=', '-eyJ', 'a.'])
    redactor.text(part.repeat(20_000))
  // Of the processor, and not of the clock, which a busy machine stretches; each by each character would be minutes.
  const { user, system } = process.cpuUsage(before)
  assert.ok(user + system < 3_000_000, `${user + system} µs`)
})

test('an error is told with code, clean message, frames and causes', () => {
  const cause = new Error('refused amqp://u:hunter22@h')
  const clean = new Redactor().error(new InvalidError('Not good: Bearer abcdef99', { code: 'BODY_INVALID', cause }))
  assert.equal(clean['code'], 'BODY_INVALID')
  assert.equal(clean['type'], 'InvalidError')
  assert.equal(clean['message'], 'Not good: Bearer ***')
  assert.match(JSON.stringify(clean['stack']), /redact\.test\.ts/)
  assert.doesNotMatch(JSON.stringify(clean), /hunter22|abcdef99/)
  assert.match(JSON.stringify(clean['cause']), /refused amqp/)
})

test('a known secret is masked in every form in which it is likely to turn up', () => {
  const redactor = new Redactor()
  const secret = 'p"ä ss/w+rd\\9!'
  redactor.add(secret)
  const forms: readonly (readonly [string, string])[] = [
    ['as it is', secret],
    ['in an address', encodeURIComponent(secret)],
    ['in an address, in small letters', encodeURIComponent(secret).replaceAll(/%../g, (byte) => byte.toLowerCase())],
    ['in a form', encodeURIComponent(secret).replaceAll('%20', '+')],
    ['in JSON', JSON.stringify({ secret })],
    ['in hexadecimal', Buffer.from(secret).toString('hex')],
    ['in basic credentials', Buffer.from(`user:${secret}`).toString('base64')],
    ['in base64 for addresses', Buffer.from(`u:${secret}`).toString('base64url')],
    ['in base64 behind two bytes', Buffer.from(`ab${secret}`).toString('base64')],
    ['in hexadecimal, in capitals', Buffer.from(secret).toString('hex').toUpperCase()],
    ['in a form, as browsers write it', new URLSearchParams({ secret }).toString().slice('secret='.length)],
    ['in the query of an address, as browsers write it', new URL(`http://h/?${encodeURI(secret)}`).search.slice(1)],
    ['in the path of an address, as Python writes it', 'p%22%C3%A4%20ss/w%2Brd%5C9%21'],
    ['in an address whose writer escapes little', 'p%22%C3%A4%20ss/w+rd\\9!'],
    ['in JSON, as Python writes it', String.raw`p\"\u00e4 ss/w+rd\\9!`],
    ['in JSON, as PHP writes it', String.raw`p\"ä ss\/w+rd\\9!`],
    ['in JSON within JSON', JSON.stringify(JSON.stringify({ secret }))],
    ['in HTML', 'p&quot;ä ss/w+rd\\9!'],
  ]
  for (const [form, text] of forms) {
    const clean = redactor.text(`It said ${text} and went.`)
    assert.match(clean, /\*\*\*/, `${form}: ${clean}`)
    assert.ok(!clean.includes(text), `${form}: ${clean}`)
  }
})

test('a secret with signs that Go escapes in JSON is masked there', () => {
  const redactor = new Redactor()
  redactor.add('a<b>&cdef')
  assert.equal(redactor.text(String.raw`{"t":"a\u003cb\u003e\u0026cdef"}`), '{"t":"***"}')
})

test('a secret that is no Unicode text stops no line of the log', () => {
  const redactor = new Redactor()
  redactor.add('half a pair \ud800 in it')
  assert.equal(redactor.text('half a pair \ufffd in it, and more'), '***, and more')
})

test('of a secret of several lines each long one is masked alone too', () => {
  const redactor = new Redactor()
  const [first, second] = ['MIIEvQIBADANBgkqhkiG9w0BAQEFAASC', 'c2Vjb25kIGxpbmUgb2YgYSBrZXk5']
  redactor.add(`-----BEGIN X-----\n${first}\r\n${second}\nshort\n`)
  assert.equal(redactor.text(`bad line ${first}`), 'bad line ***')
  assert.equal(redactor.text(`bad line ${second}`), 'bad line ***')
  assert.equal(redactor.text('a short one'), 'a short one')
})

test('a secret of several lines is masked where its line ends were taken out', () => {
  const redactor = new Redactor()
  redactor.add('first line\nsecond line')
  assert.equal(redactor.text('got first line\nsecond line!'), 'got ***!')
})

test('a secret that was replaced stays masked, and when there are too many the longest known goes first', () => {
  const redactor = new Redactor()
  const name = (at: number): string => `secret-number-${String(at).padStart(5, '0')}`
  for (let at = 0; at < 1_000; at++) redactor.add(name(at))
  assert.equal(redactor.text(name(0)), '***')
  redactor.add(name(0))
  redactor.add(name(1_000))
  assert.equal(redactor.text(`${name(0)} ${name(999)} ${name(1_000)}`), '*** *** ***', 'one that is told again is young again')
  assert.equal(redactor.text(name(1)), name(1))
})

test('tokens of Vault and keys of an encrypted .env are known by their looks', () => {
  const redactor = new Redactor()
  assert.equal(redactor.text(`with hvs.${'C'.repeat(24)} now`), 'with *** now')
  assert.equal(redactor.text(`with oek_${'C'.repeat(43)} now`), 'with *** now')
})
