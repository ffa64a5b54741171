/**
 * Makes what the settings name and the broker lacks: queue, exchange, bindings, a place for dead letters. What is there already is
 * never changed; where it is not what the settings say, that is told with the broker's own words.
 */
import type { Channel } from 'amqplib'
import { ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, brokerWords, replyCode, settingsFault } from './broker-fault.ts'
import type { Connection } from './connection.ts'
import type { Settings } from './settings.ts'

/** @throws ChannelFault of kind config; anything else means that the connection failed */
export async function prepare(connection: Connection, settings: Settings): Promise<void> {
  const { queue, binding, replies, declares, deadLetterExchange } = settings
  const exists = await has(connection, (channel) => channel.checkQueue(queue))
  if (!declares && !exists) throw settingsFault(`The queue "${queue}" does not exist, and \`declare: false\` forbids to make it.`)
  if (declares) {
    if (deadLetterExchange !== null) await prepareDeadLetters(connection, settings, deadLetterExchange)
    await prepareQueue(connection, settings, exists)
    if (binding !== null) await bind(connection, settings, binding)
  }
  if (replies !== null && replies.exchange !== '' && !(await has(connection, (channel) => channel.checkExchange(replies.exchange))))
    throw settingsFault(`The exchange "${replies.exchange}" of \`reply_exchange\` does not exist. Make it, or correct the setting.`)
}

async function prepareQueue(connection: Connection, settings: Settings, exists: boolean): Promise<void> {
  const { queue, durable, queueType, deadLetterExchange, retryCount } = settings
  const wanted = {
    ...(queueType === 'quorum' ? { 'x-queue-type': 'quorum' } : {}),
    ...(deadLetterExchange === null ? {} : { 'x-dead-letter-exchange': deadLetterExchange }),
    // With nowhere to go, a message beyond the limit would be thrown away by the broker.
    ...(queueType === 'quorum' && deadLetterExchange !== null ? { 'x-delivery-limit': retryCount } : {}),
  }
  try {
    await briefly(connection, (channel) => channel.assertQueue(queue, { durable, arguments: wanted }))
  } catch (error) {
    // Who may only read it cannot have it compared.
    if (replyCode(error) === ACCESS_REFUSED && exists) return
    if (replyCode(error) === PRECONDITION_FAILED && exists)
      throw settingsFault(
        `The queue "${queue}" exists with other arguments: ${brokerWords(error)} Adapt the settings to it, delete it, or set \`declare: false\` to use it as it is.`,
        error,
      )
    throw refusal(error, `The queue "${queue}" cannot be made`)
  }
}

async function bind(connection: Connection, settings: Settings, binding: NonNullable<Settings['binding']>): Promise<void> {
  const { exchange, type, routingKeys, headers } = binding
  try {
    if (!(await has(connection, (channel) => channel.checkExchange(exchange))))
      await briefly(connection, (channel) => channel.assertExchange(exchange, type, { durable: settings.durable }))
    for (const key of routingKeys) await briefly(connection, (channel) => channel.bindQueue(settings.queue, exchange, key, headers))
  } catch (error) {
    throw refusal(error, `The queue "${settings.queue}" cannot be bound to the exchange "${exchange}"`)
  }
}

/**
 * An exchange that nothing is bound to throws away what it gets, so one that we make comes with a queue of its own name. The queue
 * is made first: where it is, the binding is ours to complete.
 */
async function prepareDeadLetters(connection: Connection, { queueType, durable }: Settings, name: string): Promise<void> {
  try {
    const isThere = await has(connection, (channel) => channel.checkExchange(name))
    const isOurs = !isThere || (await has(connection, (channel) => channel.checkQueue(name)))
    if (!isOurs) return
    const quorum = queueType === 'quorum' ? { 'x-queue-type': 'quorum' } : {}
    if (!isThere) {
      if (!(await has(connection, (channel) => channel.checkQueue(name))))
        await briefly(connection, (channel) => channel.assertQueue(name, { durable, arguments: quorum }))
      await briefly(connection, (channel) => channel.assertExchange(name, 'fanout', { durable }))
    }
    await briefly(connection, (channel) => channel.bindQueue(name, name, '#'))
  } catch (error) {
    if (replyCode(error) === ACCESS_REFUSED && (await has(connection, (channel) => channel.checkExchange(name)))) return
    throw refusal(error, `The dead letter exchange "${name}" cannot be made`)
  }
}

/** The broker closes a channel on which something went wrong, so each try has one of its own. */
async function briefly<T>(connection: Connection, run: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await connection.channel()
  const result = await run(channel)
  await channel.close()
  return result
}

/** Passive declaration: asks without making. */
async function has(connection: Connection, ask: (channel: Channel) => Promise<unknown>): Promise<boolean> {
  try {
    await briefly(connection, ask)
    return true
  } catch (error) {
    // A queue whose node is down is not found either, and comes back.
    if (replyCode(error) === NOT_FOUND && /^no (?:queue|exchange) /.test(brokerWords(error))) return false
    throw error
  }
}

/** What the broker refuses, the operator has to mend; what it could not answer is tried again. */
const refusal = (error: unknown, what: string): unknown =>
  REFUSALS.has(replyCode(error) ?? 0)
    ? settingsFault(`${what}: ${brokerWords(error)} Check the settings and the rights of the user.`, error)
    : error

const REFUSALS: ReadonlySet<number> = new Set([ACCESS_REFUSED, PRECONDITION_FAILED])
