/** `openclaw webhooks`: who is told of what. A secret is printed once, when it is made. What became of deliveries is `webhook-deliveries.ts`. */
import type { JsonObject } from '#contract'
import { time } from '../answer.ts'
import type { Call, Command, World } from '../command.ts'
import { documentIn, text, wordsIn } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { Remote } from '../remote.ts'
import { wholeSeconds } from '../whole-seconds.ts'
import { deliveries, delivery, recover, redeliver, test } from './webhook-deliveries.ts'

export const webhooks: Command = {
  summary: 'Webhooks: URLs that are told what happens. "create" and "rotate" print the secret on standard output, this once.',
  verbs: {
    list: '',
    show: '<id>',
    create: '<url>',
    enable: '<id>',
    disable: '<id>',
    delete: '<id>',
    rotate: '<id>',
    test: '<id>',
    deliveries: '<id>',
    delivery: '<delivery>',
    redeliver: '<delivery>',
    recover: '<id>',
  },
  options: {
    event: {
      value: 'TYPE',
      help: 'create: what it is told, e.g. message.processed or "message.*"; may be repeated; default: all',
      many: true,
    },
    description: { value: 'TEXT', help: 'create: what it is for' },
    fifo: { help: 'create: one at a time, in order' },
    rate: { value: 'N', help: 'create: no more attempts than that begin within one second' },
    ed25519: { help: 'create: sign with a key pair of the gateway too' },
    grace: { value: 'DURATION', help: 'rotate: how long the old secret signs too (1d)' },
    since: { value: 'TIME', help: 'recover: from then on; ISO 8601, or a duration ago like 6h' },
    until: { value: 'TIME', help: 'recover: before then' },
    status: { value: 'STATUS', help: 'deliveries, recover: pending, ok, failed, dead or skipped' },
    type: { value: 'TYPE', help: 'deliveries: only events of this type' },
    limit: { value: 'N', help: 'deliveries: how many (20)' },
    timeout: { value: 'SECONDS', help: 'test, redeliver: how long to wait for the outcome (20)' },
  },
  run: async (call, world) => {
    const remote = await Remote.find(world)
    switch (call.verb) {
      case 'create':
        return create(call, world, remote)
      case 'rotate':
        return rotate(call, world, remote)
      case 'show':
        return show(call, world, remote)
      case 'enable':
      case 'disable':
      case 'delete':
        return change(call, world, remote)
      case 'test':
        return test(call, world, remote)
      case 'deliveries':
        return deliveries(call, world, remote)
      case 'delivery':
        return delivery(call, world, remote)
      case 'redeliver':
        return redeliver(call, world, remote)
      case 'recover':
        return recover(call, world, remote)
      default:
        return list(call, world, remote)
    }
  },
}

const pathOf = ({ words }: Call): string => `/v1/webhooks/${encodeURIComponent(words[0] ?? '')}`

async function list({ json }: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const { page, rows } = await remote.list('/v1/webhooks', { limit: 200 })
  if (json) out.json(page)
  else {
    out.table(
      rows,
      [
        { title: 'ID', cell: (row) => text(row['id']), whole: true },
        {
          title: 'STATE',
          cell: (row) => (row['disabled_reason'] ? `off, ${text(row['disabled_reason'])}` : row['failing_since'] ? 'failing' : 'enabled'),
        },
        { title: 'EVENTS', cell: (row) => wordsIn(row['events']).join(' ') },
        { title: 'URL', cell: (row) => text(row['url']) },
      ],
      'No webhooks. Make one: openclaw webhooks create https://…',
    )
  }
  return EXIT.ok
}

async function show(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const found = await remote.get(pathOf(call))
  if (call.json) out.json(found)
  else {
    out.pairs([
      ['id', text(found['id'])],
      ['url', text(found['url'])],
      ['for', text(found['description']) || '-'],
      ['events', wordsIn(found['events']).join(' ')],
      ['rate', typeof found['rate'] === 'number' ? `${found['rate']} a second` : '-'],
      ['key', publicKeyIn(found) ?? '-'],
      ['order', found['ordering'] === 'fifo' ? 'one at a time, in order' : 'none'],
      ['state', `${text(found['status'])}${found['disabled_reason'] ? ` (${text(found['disabled_reason'])})` : ''}`],
      ['failing', found['failing_since'] ? `since ${time(found['failing_since'])}, ${text(found['failures'])} attempts` : '-'],
      ['made', time(found['created_at'])],
    ])
  }
  return EXIT.ok
}

async function create(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const events = call
    .texts('event')
    .flatMap((event) => event.split(','))
    .map((event) => event.trim())
  const [description, rate] = [call.text('description'), call.text('rate')]
  if (rate !== undefined && !/^\d{1,4}$/.test(rate)) throw new CommandError('--rate is a number from 1 to 1000.', EXIT.usage)
  const { body } = await remote.ask('/v1/webhooks', {
    method: 'POST',
    body: {
      url: call.words[0] ?? '',
      events: events.length === 0 ? ['*'] : events,
      ...(description !== undefined && { description }),
      ...(call.has('fifo') && { ordering: 'fifo' }),
      ...(rate !== undefined && { rate: Number(rate) }),
      ...(call.has('ed25519') && { ed25519: true }),
    },
  })
  const made = documentIn(body)
  if (call.json) out.json(made)
  else {
    out.note(`Webhook ${text(made['id'])} is told ${wordsIn(made['events']).join(', ')}. Keep the secret now; it is shown nowhere again.`)
    const key = publicKeyIn(made)
    if (key !== null) out.note(`Whoever verifies by key pair needs no secret, but this: ${key}`)
    out.line(text(made['secret']))
  }
  return EXIT.ok
}

async function rotate(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const grace = call.text('grace')
  const { body } = await remote.ask(`${pathOf(call)}/rotate-secret`, {
    method: 'POST',
    body: grace === undefined ? {} : { grace_seconds: wholeSeconds('grace', grace) },
  })
  const made = documentIn(body)
  if (call.json) out.json(made)
  else {
    const until = made['old_until'] ? `The old one signs too until ${time(made['old_until'])}.` : 'The old one signs no more.'
    out.note(`${until} Keep the new secret now; it is shown nowhere again.`)
    out.line(text(made['secret']))
  }
  return EXIT.ok
}

async function change(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const id = call.words[0] ?? ''
  if (call.verb === 'delete') await remote.ask(pathOf(call), { method: 'DELETE' })
  else await remote.ask(pathOf(call), { method: 'PATCH', body: { status: `${call.verb}d` } })
  if (call.json) out.json({ id, status: `${call.verb}d` })
  else out.note(`${id} is ${call.verb}d.${call.verb === 'enable' ? ' What it missed is brought back by "recover".' : ''}`)
  return EXIT.ok
}

/** Of the newest secret; null: it signs by HMAC only. */
function publicKeyIn({ secrets }: JsonObject): string | null {
  const key = Array.isArray(secrets) ? documentIn(secrets[0])['public_key'] : null
  return typeof key === 'string' ? key : null
}
