/** What is not used costs nothing: of channels that are not configured no library is loaded, of skills that nobody calls only what there is to call. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { answerTo } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'

const OF_CHANNELS =
  /^(grammy|@grammyjs\/.*|@slack\/.*|axios|baileys|libsignal|protobufjs|amqplib|mqtt|mqtt-packet|kafkajs|mdast-.*|micromark.*|uqr|@grpc\/.*|grpc-health-check)$/
const ENTRY = new URL('./lazy-subject.ts', import.meta.url).pathname

async function loadedBy(context: TestContext, channels: object, more: object = {}): Promise<readonly string[]> {
  const gateway = await startGateway(context, { entry: ENTRY, config: { channels, ...more } })
  await answerTo(gateway, 'anything')
  await gateway.stop()
  return JSON.parse(readFileSync(join(gateway.dir, 'packages.json'), 'utf8')) as readonly string[]
}

test('a gateway without channels of its own loads none of their libraries', { timeout: 30_000 }, async (context) => {
  const packages = await loadedBy(context, {})
  assert.ok(packages.includes('express'), 'it sees what is loaded')
  assert.deepEqual(
    packages.filter((name) => OF_CHANNELS.test(name)),
    [],
  )
})

test('what runs and what registers skills is loaded when the first is run or registered', { timeout: 30_000 }, async (context) => {
  const packages = await loadedBy(context, {})
  assert.ok(packages.includes('skills/catalogue/catalogue.ts'), 'it sees what is loaded')
  const unused =
    /^(dockerode|jose|semver|quickjs-emscripten-core|unpdf|pdf-lib|marked)$|^skills\/(engine|runner|descriptor\/ajv|catalogue\/registration|sandbox\/workshop)/
  assert.deepEqual(
    packages.filter((name) => unused.test(name)),
    [],
  )
})

test('nothing of OpenTelemetry is loaded without a collector', { timeout: 30_000 }, async (context) => {
  const packages = await loadedBy(context, {})
  assert.deepEqual(
    packages.filter((name) => name.startsWith('@opentelemetry/')),
    [],
  )
})
test(
  'what checks tokens is loaded with the first of them, not with the issuer that is configured',
  { timeout: 30_000 },
  async (context) => {
    const packages = await loadedBy(context, {}, { auth: { issuers: [{ issuer: 'https://id.example', audience: 'a' }] } })
    assert.ok(packages.includes('express'), 'it sees what is loaded')
    assert.ok(!packages.includes('jose'))
  },
)

test('one that has a broker loads the library of that broker alone', { timeout: 30_000 }, async (context) => {
  const packages = await loadedBy(context, { devices: { kind: 'mqtt', url: 'mqtt://127.0.0.1:9', topic: 'a' } })
  assert.deepEqual(
    packages.filter((name) => OF_CHANNELS.test(name)),
    ['mqtt', 'mqtt-packet'],
  )
})
