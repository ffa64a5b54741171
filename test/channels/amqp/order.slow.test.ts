/** The database is locked in the midst of a burst: what was handed in ahead fails with what was before it, and all comes in again in its order. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { connect } from 'amqplib'
import { eventually } from '../../support/eventually.ts'
import { startGateway } from '../../support/gateway-process.ts'
import { Rabbitmq, rabbitmqPath } from '../../support/rabbitmq.ts'

const MESSAGES = 4_000
const LANES = 8
/** More than what is handed in ahead, so that some is still to come while that is tried again. */
const PREFETCH = 2_000
const skip = rabbitmqPath() === null ? 'there is no RabbitMQ here; set RABBITMQ_SERVER_PATH' : false

void test('amqp keeps the order of each lane, and loses nothing, when the store locks in the midst of a burst', { skip }, async (t) => {
  const rabbitmq = await Rabbitmq.start({ after: (run) => t.after(run) })
  const connection = await connect(rabbitmq.url())
  connection.on('error', () => {})
  const channel = await connection.createConfirmChannel()
  const queue = 'burst'
  await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } })
  const gateway = await startGateway(
    { after: (run) => t.after(run) },
    { config: { channels: { orders: { kind: 'amqp', url: rabbitmq.url(), queue, prefetch: PREFETCH } } } },
  )
  const file = join(gateway.dir, 'sessions.db')
  const other = new DatabaseSync(file, { timeout: 10_000 })
  const accepted = (): number => Number(other.prepare('SELECT count(*) AS n FROM inbox').get()?.['n'])

  for (let at = 0; at < MESSAGES; at++) {
    const headers = { 'x-user-id': `lane-${at % LANES}` }
    channel.sendToQueue(queue, Buffer.from(String(at)), { persistent: true, messageId: `m-${at}`, contentType: 'text/plain', headers })
  }
  await eventually(() => accepted() > 0, 'the first of them')
  other.exec('BEGIN IMMEDIATE')
  const before = accepted()
  await gateway.told(/could not be accepted/, 20_000)
  other.exec('ROLLBACK')
  await channel.waitForConfirms()
  assert.ok(before < MESSAGES, 'some were still to come')

  await eventually(() => accepted() >= MESSAGES, 'the last of them')
  await eventually(async () => (await channel.checkQueue(queue)).messageCount === 0, 'the end of the queue')
  const rows = other.prepare('SELECT i.lane, c.envelope FROM inbox i JOIN inbox_content c USING (seq) ORDER BY i.seq').all()
  const byLane = new Map<string, number[]>()
  for (const { lane, envelope } of rows) {
    const numbers = byLane.get(String(lane)) ?? []
    byLane.set(String(lane), numbers)
    numbers.push(Number(JSON.parse(String(envelope)).payload.text))
  }
  other.close()
  assert.equal(byLane.size, LANES)
  for (const [lane, numbers] of byLane) {
    const first = Number(lane.slice('lane-'.length))
    assert.deepEqual(
      numbers,
      Array.from({ length: MESSAGES / LANES }, (_, at) => first + at * LANES),
      lane,
    )
  }
  await connection.close()
})
