/**
 * A consumer that does nothing but acknowledge, or keep, or answer, with the same library and prefetch as the channel, in a process of its own: what
 * durable intake is held against. Arguments: url, queue, how many messages there are (0: it echoes every request instead), after how many it
 * begins to count, and a database, if it is to keep them: what has come together is one synced transaction, and acknowledged after. Says how
 * many it read a second, from there to the last acknowledgement.
 */
import { DatabaseSync } from 'node:sqlite'
import { connect } from 'amqplib'
import type { ConsumeMessage } from 'amqplib'

const [url = '', queue = '', wanted = '0', uncounted = '0', file] = process.argv.slice(2)
const count = Number(wanted)
const connection = await connect(url, { noDelay: true })
const channel = await connection.createConfirmChannel()
await channel.prefetch(500)
let begunAt = 0
let begunWith = 0
let read = 0

function done(messages: number): void {
  read += messages
  if (begunAt === 0 && read >= Number(uncounted)) {
    begunAt = performance.now()
    begunWith = read
  }
  if (read === count) console.log(`read ${Math.round(((read - begunWith) / (performance.now() - begunAt)) * 1_000)} a second`)
}

/** Once by its id, whole. */
function keeper(path: string): (messages: readonly ConsumeMessage[]) => void {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE message (id TEXT UNIQUE, content TEXT) STRICT')
  const insert = database.prepare('INSERT INTO message VALUES (?, ?) ON CONFLICT DO NOTHING')
  return (messages) => {
    database.exec('BEGIN IMMEDIATE')
    for (const { content, properties } of messages) {
      const message = { body: JSON.parse(content.toString()), headers: properties.headers }
      insert.run(String(properties.messageId), JSON.stringify(message))
    }
    database.exec('COMMIT')
  }
}

const keep = file === undefined ? null : keeper(file)
let waiting: ConsumeMessage[] = []
function keepAll(): void {
  const last = waiting.at(-1)
  if (keep === null || last === undefined) return
  keep(waiting)
  channel.ack(last, true)
  done(waiting.length)
  waiting = []
}

await channel.consume(queue, (message) => {
  if (message === null) return
  if (keep !== null) {
    if (waiting.push(message) === 1) setImmediate(keepAll)
    return
  }
  if (count === 0) {
    const { replyTo, correlationId } = message.properties
    channel.sendToQueue(String(replyTo), message.content, { correlationId, persistent: true })
  }
  channel.ack(message)
  done(1)
})
console.log('consuming')
