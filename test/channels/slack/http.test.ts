/** Events over HTTP: only what Slack signed is heard, 2xx comes after it was taken in, and slash commands are answered to their user. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { UnavailableError } from '#contract'
import { signed } from '../../fakes/slack-request.ts'
import { never, openHarness, part } from './harness.ts'
import type { Harness } from './harness.ts'

let given: Harness
// What is signed now has to be fresh by the hub's clock, which stands still.
const NOW = 1_800_000_000_000
beforeEach(async () => {
  given = await openHarness({ isHttp: true, now: () => NOW, settings: { slash_command: '/ask' } })
  await given.start()
})
afterEach(() => given.close())

interface Request {
  readonly secret?: string
  readonly timestamp?: number
  readonly tampered?: string
}

async function post(
  body: string,
  { secret = given.fake.signingSecret, timestamp = NOW / 1_000, tampered = body }: Request = {},
): Promise<Response> {
  const headers = { 'content-type': 'application/json', ...signed(body, { secret, timestamp }) }
  return fetch(given.eventsUrl, { method: 'POST', headers, body: tampered })
}
const message = JSON.stringify({
  type: 'event_callback',
  event_id: 'Ev1',
  event: { type: 'message', channel: 'D0ANN', user: 'U0ANN', text: 'hi', ts: '1800000000.000100' },
})

test('Slack is told that the address is ours', async () => {
  const answer = await post(JSON.stringify({ type: 'url_verification', token: 't', challenge: 'prove it' }))
  assert.deepEqual([answer.status, await answer.json()], [200, { challenge: 'prove it' }])
})

describe('the signature', () => {
  const refused: readonly (readonly [what: string, request: Request])[] = [
    ['of another secret', { secret: 'not the secret' }],
    ['of six minutes ago', { timestamp: NOW / 1_000 - 361 }],
    ['of the future', { timestamp: NOW / 1_000 + 361 }],
    ['of another body', { tampered: message.replace('hi', 'ho') }],
  ]
  for (const [what, request] of refused) {
    test(`${what} is refused, and nothing is taken in`, async () => {
      assert.equal((await post(message, request)).status, 403)
      assert.equal(given.host.handed.length, 0)
    })
  }

  test('that is missing or cut off is refused', async () => {
    assert.equal((await fetch(given.eventsUrl, { method: 'POST', body: message })).status, 403)
    const { 'x-slack-signature': whole = '', ...rest } = signed(message, { secret: given.fake.signingSecret, timestamp: NOW / 1_000 })
    for (const signature of ['', 'v0=', whole.slice(0, -1), `${whole}0`, whole.replace('v0', 'v1')]) {
      const headers = { ...rest, 'x-slack-signature': signature }
      assert.equal((await fetch(given.eventsUrl, { method: 'POST', headers, body: message })).status, 403)
    }
  })

  test('holds for four minutes and fifty seconds', async () => {
    assert.equal((await post(message, { timestamp: NOW / 1_000 - 290 })).status, 200)
    assert.equal(given.host.handed.length, 1)
  })

  test('is asked for by /events alone, so that no key has to be given', () => {
    assert.deepEqual(
      given.channel.routes?.map(({ method, path, permission }) => [method, path, permission]),
      [['POST', '/v1/channels/support/events', 'signed']],
    )
  })
})

describe('acknowledgement', () => {
  test('is 2xx after the message is durable', async () => {
    const { fake, host } = given
    host.hold()
    fake.say({ channel: 'D0ANN', user: 'U0ANN', text: 'hi' })
    await host.handedIn(1)
    assert.equal(fake.requests.posted.length, 0)
    host.release()
    await fake.until(() => fake.requests.pending.length === 0, '2xx')
  })

  test('is 503 while nothing can be stored, and Slack comes again', async () => {
    const { fake, host } = given
    host.failure = new UnavailableError('The store is locked.', { code: 'STORE_LOCKED' })
    fake.say({ channel: 'D0ANN', user: 'U0ANN', text: 'hi' })
    await fake.until(() => fake.requests.posted.length >= 2, 'two tries')
    assert.ok(fake.requests.posted.every(({ status }) => status === 503))
    host.failure = null
    await fake.until(() => fake.requests.pending.length === 0, '2xx')
    assert.equal(new Set(host.handed.map(({ key }) => key)).size, 1)
  })

  test('is 503 while the channel is paused', async () => {
    const { fake, host, channel } = given
    channel.pause()
    fake.say({ channel: 'D0ANN', user: 'U0ANN', text: 'hi' })
    await fake.until(() => fake.requests.posted.length >= 1, 'a try')
    assert.equal(fake.requests.posted[0]?.status, 503)
    assert.equal(host.handed.length, 0)
    channel.resume()
    await fake.until(() => fake.requests.pending.length === 0, '2xx')
  })

  test('is given to what is signed and of no interest, and 400 to what is not JSON', async () => {
    assert.equal((await post('{"type":"event_callback","event":{"type":"team_join"}}')).status, 200)
    assert.equal((await post('[]')).status, 200)
    assert.equal((await post('{')).status, 400)
    assert.equal(given.host.handed.length, 0)
  })
})

describe('a slash command', () => {
  test('is a message to us, and is answered to its user alone', async () => {
    const { fake, host, channel } = given
    fake.command('/ask', 'what is <https://example.org|this>', { user: 'U0ANN', channel: 'C0TEAM' })
    await fake.until(() => fake.requests.posted.length === 1, 'the acknowledgement')
    assert.deepEqual([fake.requests.posted[0]?.status, fake.requests.posted[0]?.body], [200, ''])
    const [asked] = host.handed
    assert.ok(asked !== undefined)
    assert.deepEqual([asked.sender, asked.isAddressed, asked.lane], ['U0ANN', true, 'C0TEAM/U0ANN'])
    assert.deepEqual(asked.payload, { text: 'what is this (https://example.org)' })
    assert.equal(asked.reply.expiresAt, NOW + 1_800_000)
    assert.deepEqual(await channel.send(part('that', asked.reply), never), { id: null })
    assert.deepEqual(fake.responses, [{ response_type: 'ephemeral', text: 'that' }])
    assert.deepEqual(await channel.confirm?.(part('that', asked.reply), never), { outcome: 'unknown' })
    assert.equal(fake.sent.length, 0)
  })

  test('of another name is acknowledged and passed over', async () => {
    given.fake.command('/other', 'x', { user: 'U0ANN', channel: 'C0TEAM' })
    await given.fake.until(() => given.fake.requests.posted.length === 1, 'the acknowledgement')
    assert.equal(given.host.handed.length, 0)
  })

  test('is never answered to an address that is not Slack’s', async () => {
    const to = { chat: 'C0TEAM', correlation: 'http://127.0.0.1:9/commands' }
    await assert.rejects(given.channel.send(part('that', to), never), { code: 'SLACK_REFUSED' })
  })
})
