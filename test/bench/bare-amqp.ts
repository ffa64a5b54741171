/**
 * A consumer that does nothing but acknowledge, or answer, with the same library and prefetch as the channel, in a process of its own: what durable
 * intake is held against. Arguments: url, queue, how many messages there are (0: it echoes every request instead). Says how many it read a
 * second, from the first delivery to the last acknowledgement.
 */
import { connect } from 'amqplib'

const [url = '', queue = '', wanted = '0'] = process.argv.slice(2)
const count = Number(wanted)
const connection = await connect(url, { noDelay: true })
const channel = await connection.createConfirmChannel()
await channel.prefetch(200)
let begunAt = 0
let read = 0
await channel.consume(queue, (message) => {
  if (message === null) return
  begunAt ||= performance.now()
  if (count === 0) {
    const { replyTo, correlationId } = message.properties
    channel.sendToQueue(String(replyTo), message.content, { correlationId, persistent: true })
  }
  channel.ack(message)
  if (++read === count) console.log(`read ${Math.round((read / (performance.now() - begunAt)) * 1_000)} a second`)
})
console.log('consuming')
