import assert from 'node:assert/strict'
import { test } from 'node:test'
import { proto } from 'baileys'
import { NotFoundError } from '#contract'
import type { Inbound, MediaRef } from '#contract'
import { linked, partTo, signal } from './linked.ts'
import type { Linked } from './linked.ts'

const GROUP = '120363000000000001@g.us'

function inGroup({ fake, alice, bob }: Linked): void {
  fake.groups.set(GROUP, { subject: 'team', members: [alice, bob, fake.owner] })
}

const nth = ({ host }: Linked, n: number): Inbound => {
  const message = host.handed[n]
  assert.ok(message)
  return message
}

test('a person is one sender by phone number and by internal id, and any of their names is an alias', async (t) => {
  const world = await linked(t)
  const { fake, host, alice, heard } = world
  await fake.say(alice, 'by number')
  await fake.say(alice, 'by id', { as: 'lid' })
  await fake.say(alice, 'by id alone', { as: 'lid alone' })
  await fake.say(alice, 'by number alone', { as: 'number alone' })
  await heard(4)
  assert.deepEqual([...new Set(host.handed.map(({ sender }) => sender))], [alice.jid])
  assert.deepEqual([...new Set(host.handed.map(({ lane }) => lane))], [alice.jid])
  for (const { aliases = [] } of host.handed) {
    for (const name of ['15550002222', '+15550002222', alice.jid, alice.lid]) assert.ok(aliases.includes(name), name)
  }
})

test('somebody who was known by the internal id only keeps it when the number is learned, also after a restart', async (t) => {
  const world = await linked(t)
  const { fake, host, alice, heard, restart } = world
  await fake.say(alice, 'who am I', { as: 'lid alone' })
  await heard(1)
  assert.equal(nth(world, 0).sender, alice.lid)
  await fake.say(alice, 'this is my number', { as: 'lid' })
  await heard(2)
  await restart()
  await fake.say(alice, 'by number')
  await heard(3)
  assert.deepEqual([...new Set(host.handed.map(({ sender }) => sender))], [alice.lid])
  assert.ok(nth(world, 2).aliases?.includes('+15550002222'))
})

test('in a group it counts as addressed what mentions us by either name or answers us', async (t) => {
  const world = await linked(t)
  const { fake, host, alice, bob, heard } = world
  inGroup(world)
  const said = (contextInfo: proto.IContextInfo): proto.IMessage => ({ extendedTextMessage: { text: 'status?', contextInfo } })
  await fake.say(alice, 'among us', { group: GROUP })
  await fake.say(alice, '', { group: GROUP, message: said({ mentionedJid: ['15550001111@s.whatsapp.net'] }) })
  await fake.say(bob, '', { group: GROUP, message: said({ mentionedJid: ['155500011119@lid'] }), as: 'lid' })
  await fake.say(bob, '', {
    group: GROUP,
    message: said({ stanzaId: 'X', participant: fake.jid, quotedMessage: { conversation: 'ours' } }),
  })
  await fake.say(bob, '', { group: GROUP, message: said({ mentionedJid: [alice.jid] }) })
  await heard(5)
  assert.deepEqual(
    host.handed.map(({ isAddressed }) => isAddressed),
    [false, true, true, true, false],
  )
  assert.deepEqual(nth(world, 0).peer, { kind: 'group', id: GROUP, thread: null })
  assert.deepEqual(
    host.handed.map(({ sender }) => sender),
    [alice.jid, alice.jid, bob.jid, bob.jid, bob.jid],
  )
  assert.deepEqual(nth(world, 3).metadata['quoted'], { id: 'X', text: 'ours' })
})

test('an answer in a group reaches everybody and quotes what it answers', async (t) => {
  const world = await linked(t)
  const { fake, alice, bob, heard, channel } = world
  inGroup(world)
  const id = await fake.say(alice, 'what is the plan?', { group: GROUP })
  await heard(1)
  await channel().send(partTo(nth(world, 0).reply, 'to win'), signal())
  await channel().send(partTo(nth(world, 0).reply, 'and to rest'), signal())
  assert.deepEqual(
    fake.delivered.map(({ chat, to, text }) => [chat, to, text]),
    [
      [GROUP, alice.jid, 'to win'],
      [GROUP, bob.jid, 'to win'],
      [GROUP, alice.jid, 'and to rest'],
      [GROUP, bob.jid, 'and to rest'],
    ],
  )
  const context = fake.delivered[0]?.message.extendedTextMessage?.contextInfo
  assert.equal(context?.stanzaId, id)
  assert.equal(context?.participant, alice.jid)
  assert.equal(context?.quotedMessage?.conversation, 'what is the plan?')
})

test("a group message whose sender's key came with it survives a crash between the two", async (t) => {
  const world = await linked(t)
  const { fake, host, alice, heard, restart } = world
  inGroup(world)
  const write = host.writeState.bind(host)
  const written = Promise.withResolvers<void>()
  host.writeState = async (changes) => {
    await write(changes)
    if (!Object.keys(changes).some((key) => key.includes(' session '))) return
    host.writeState = write
    fake.cut()
    written.resolve()
    await new Promise(() => {})
  }
  await fake.say(alice, 'first in this group', { group: GROUP })
  await written.promise
  await restart()
  await heard(1)
  assert.deepEqual(nth(world, 0).payload, { text: 'first in this group' })
  assert.ok(!fake.notes.some((note) => note.is === 'receipt' && note.type === 'retry'), 'its sender had to send it again')
  await fake.say(alice, 'second', { group: GROUP })
  await heard(2)
})

test('what the owner writes on the phone is ours', async (t) => {
  const world = await linked(t)
  const { fake, alice, heard } = world
  await fake.sayAsOwner(alice, 'I will call you')
  await heard(1)
  const { author, lane, sender } = nth(world, 0)
  assert.deepEqual([author, lane, sender], ['self', alice.jid, '15550001111@s.whatsapp.net'])
})

test('edits, deletions and reactions are news of the message they are about', async (t) => {
  const world = await linked(t)
  const { fake, host, alice, heard } = world
  const { Type } = proto.Message.ProtocolMessage
  const id = await fake.say(alice, 'helo')
  await heard(1)
  const key = { remoteJid: fake.jid, fromMe: true, id }
  await fake.say(alice, '', { message: { protocolMessage: { type: Type.MESSAGE_EDIT, key, editedMessage: { conversation: 'hello' } } } })
  await fake.say(alice, '', { message: { reactionMessage: { key, text: '👍' } } })
  await fake.say(alice, '', { message: { protocolMessage: { type: Type.REVOKE, key } } })
  await heard(4)
  const of = nth(world, 0).key
  assert.deepEqual(
    host.handed.slice(1).map(({ event, payload, metadata }) => [event, payload, metadata.event, metadata.of]),
    [
      ['edit', { text: 'hello' }, 'edit', of],
      ['reaction', { text: '👍' }, 'reaction', of],
      ['delete', { text: '' }, 'delete', of],
    ],
  )
})

test('a picture comes as a reference, and its bytes when they are asked for', async (t) => {
  const world = await linked(t)
  const { fake, media, alice, heard, channel } = world
  const bytes = Buffer.from('a picture of a cat')
  const file = await media.put(bytes, 'image')
  await fake.say(alice, '', { message: { imageMessage: { ...file, mimetype: 'image/png', caption: 'my cat' } } })
  await heard(1)
  const { payload, metadata } = nth(world, 0)
  assert.deepEqual(payload, { text: 'my cat' })
  const ref: MediaRef | undefined = metadata.media?.[0]
  assert.ok(ref)
  assert.deepEqual([ref.media_type, ref.bytes], ['image/png', bytes.length])
  const opened = await channel().media?.(ref, signal())
  assert.deepEqual(Buffer.from(opened?.bytes ?? []), bytes)
  media.spoil(file.directPath)
  await assert.rejects(async () => channel().media?.(ref, signal()), { code: 'WHATSAPP_MEDIA_DAMAGED' })
  media.remove(file.directPath)
  await assert.rejects(async () => channel().media?.(ref, signal()), NotFoundError)
  const elsewhere = Buffer.from(JSON.stringify({ type: 'image', path: '//evil.example/x', key: '', sha256: '' })).toString('base64url')
  await assert.rejects(async () => channel().media?.({ ...ref, id: elsewhere }, signal()), NotFoundError)
})

test('a form without words of its own is named, and the machinery of the protocol is not handed in', async (t) => {
  const world = await linked(t)
  const { fake, alice, heard } = world
  await fake.say(alice, '', { message: { protocolMessage: { type: proto.Message.ProtocolMessage.Type.EPHEMERAL_SETTING } } })
  await fake.say(alice, '', { message: { pollCreationMessageV3: { name: 'Lunch?', options: [{ optionName: 'yes' }] } } })
  await fake.say(alice, '', { message: { locationMessage: { degreesLatitude: 52.5, degreesLongitude: 13.4, name: 'Here' } } })
  await fake.say(alice, '', { message: { ephemeralMessage: { message: { extendedTextMessage: { text: 'soon gone' } } } } })
  await heard(3)
  assert.deepEqual(
    [0, 1, 2].map((n) => nth(world, n).payload),
    [{ json: { type: 'pollCreationMessageV3' } }, { text: 'Here\ngeo:52.5,13.4' }, { text: 'soon gone' }],
  )
})

test('what is decrypted and cannot be read is kept whole as a dead letter', async (t) => {
  const world = await linked(t)
  const { fake, alice, heard } = world
  await fake.sayBytes(alice, Buffer.from([0xff, 0xff, 0xff]))
  await heard(1)
  const { dead, payload } = nth(world, 0)
  assert.equal(dead?.code, 'WHATSAPP_MESSAGE_UNDECODABLE')
  assert.deepEqual(payload, { binary: Buffer.from([0xff, 0xff, 0xff]).toString('base64'), media_type: 'application/octet-stream' })
})
