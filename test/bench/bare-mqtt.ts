/**
 * A consumer that does nothing but acknowledge, as the library does it, in a process of its own: what durable intake is held against.
 * Arguments: url, name of the session, how many messages wait in it. Says how many it read a second, from the first to the last.
 */
import { connect } from 'mqtt'

const [url = '', clientId = '', wanted = '0'] = process.argv.slice(2)
const count = Number(wanted)
const properties = { sessionExpiryInterval: 0xff_ff_ff_ff, receiveMaximum: 500 }
const client = connect(url, { protocolVersion: 5, clean: false, clientId, reconnectPeriod: 0, properties })
let begunAt = 0
let read = 0
client.on('error', (error) => console.error(error))
client.on('message', () => {
  begunAt ||= performance.now()
  if (++read === count) console.log(`read ${Math.round((read / (performance.now() - begunAt)) * 1_000)} a second`)
})
