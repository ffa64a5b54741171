/**
 * What WhatsApp's server answers to queries (`iq`): pre-keys, devices of users, groups, and the many things a client asks at login that
 * are of no matter here.
 */
import { jidDecode } from 'baileys'
import type { BinaryNode } from 'baileys'
import { bytesOf, node, publicKey } from './whatsapp-person.ts'
import type { Bundle, Person } from './whatsapp-person.ts'
import { childOf, childrenOf } from './whatsapp-phone.ts'

export interface Group {
  readonly subject: string
  readonly members: readonly Person[]
}

export interface Directory {
  readonly groups: ReadonlyMap<string, Group>
  /** Everybody who can be written to, the client's own phone included. */
  personOf(jid: string): Person | undefined
  isClient(jid: string): boolean
  readonly device: number
  readonly preKeys: PreKeys
}

/** What the client uploaded, handed out one by one. */
export class PreKeys {
  #device: Omit<Bundle, 'preKey'> | null = null
  readonly #once = new Map<number, Uint8Array>()

  get size(): number {
    return this.#once.size
  }

  take(): Bundle {
    const [first] = this.#once
    if (this.#device === null || first === undefined) throw new Error('the client uploaded no keys')
    this.#once.delete(first[0])
    return { ...this.#device, preKey: { keyId: first[0], publicKey: publicKey(first[1]) } }
  }

  keep(upload: BinaryNode): void {
    for (const key of childrenOf(childOf(upload, 'list'), 'key')) {
      this.#once.set(bytesOf(childOf(key, 'id')).readUIntBE(0, 3), bytesOf(childOf(key, 'value')))
    }
    const signed = childOf(upload, 'skey')
    this.#device = {
      registrationId: bytesOf(childOf(upload, 'registration')).readUInt32BE(0),
      identityKey: publicKey(bytesOf(childOf(upload, 'identity'))),
      signedPreKey: {
        keyId: bytesOf(childOf(signed, 'id')).readUIntBE(0, 3),
        publicKey: publicKey(bytesOf(childOf(signed, 'value'))),
        signature: bytesOf(childOf(signed, 'signature')),
      },
    }
  }

  clear(): void {
    this.#device = null
    this.#once.clear()
  }
}

/** The content of the result; undefined: an empty one. */
export async function answer(query: BinaryNode, directory: Directory): Promise<BinaryNode[] | undefined> {
  const [asked] = childrenOf(query)
  switch (query.attrs['xmlns']) {
    case 'encrypt':
      return keys(query, asked, directory)
    case 'usync':
      return users(query, directory)
    case 'w:g2': {
      const group = directory.groups.get(query.attrs['to'] ?? '')
      return group === undefined ? undefined : [describe(query.attrs['to'] ?? '', group)]
    }
    default:
      return []
  }
}

async function keys(query: BinaryNode, asked: BinaryNode | undefined, directory: Directory): Promise<BinaryNode[] | undefined> {
  switch (asked?.tag) {
    case 'count':
      return [node('count', { value: String(directory.preKeys.size) })]
    case 'digest':
      return [node('digest', {})]
    case 'key': {
      const bundles = childrenOf(asked, 'user').map(async ({ attrs }) => directory.personOf(attrs['jid'] ?? '')?.bundle(attrs['jid'] ?? ''))
      return [
        node(
          'list',
          {},
          (await Promise.all(bundles)).filter((bundle) => bundle !== undefined),
        ),
      ]
    }
    default:
      if (query.attrs['type'] === 'set' && childOf(query, 'list') !== undefined) directory.preKeys.keep(query)
      return undefined
  }
}

function users(query: BinaryNode, directory: Directory): BinaryNode[] {
  const list = childrenOf(childOf(childOf(query, 'usync'), 'list'), 'user').map(({ attrs }) => {
    const jid = attrs['jid'] ?? ''
    const person = directory.personOf(jid)
    const devices = directory.isClient(jid) ? [0, directory.device] : person === undefined ? [] : [0]
    return node('user', { jid }, [
      node('devices', {}, [
        node(
          'device-list',
          {},
          devices.map((id) => node('device', { id: String(id), 'key-index': '1' })),
        ),
      ]),
      ...(person === undefined ? [] : [node('lid', { val: person.lid })]),
    ])
  })
  return [node('usync', {}, [node('list', {}, list)])]
}

function describe(jid: string, { subject, members }: Group): BinaryNode {
  const participants = members.map((member) => node('participant', { jid: member.jid, lid: member.lid }))
  const attrs = { id: jidDecode(jid)?.user ?? '', subject, creation: '1', creator: members[0]?.jid ?? '', addressing_mode: 'pn' }
  return node('group', attrs, participants)
}
