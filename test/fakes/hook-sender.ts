/**
 * Those who post to a hook, as each of them signs: Standard Webhooks 1.0.0, OpenClaw's own signature, GitHub, Stripe. Written from their
 * documentation, so that both sides are not wrong in the same way.
 */
import { createHmac } from 'node:crypto'

export interface Posting {
  readonly secret: string
  readonly body: string | Uint8Array
  /** Epoch seconds. */
  readonly at: number
  readonly id?: string
  readonly nonce?: string
}
export type SenderHeaders = { readonly [name: string]: string }

export const asStandard = ({ secret, body, at, id = 'msg_1' }: Posting): SenderHeaders => {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret)
  const signature = createHmac('sha256', key).update(`${id}.${at}.`).update(body).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': `v1,${signature}` }
}

export const asOpenClaw = ({ secret, body, at, nonce = '0123456789abcdef'.repeat(2) }: Posting): SenderHeaders => ({
  'x-openclaw-signature': createHmac('sha256', secret).update(body).update(`${at}${nonce}`).digest('hex'),
  'x-openclaw-timestamp': String(at),
  'x-openclaw-nonce': nonce,
})

export const asGitHub = ({ secret, body, id = '72d3162e-cc78-11e3-81ab-4c9367dc0958' }: Omit<Posting, 'at'>): SenderHeaders => ({
  'x-github-event': 'issues',
  'x-github-delivery': id,
  'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
})

export const asStripe = ({ secret, body, at }: Posting): SenderHeaders => ({
  'stripe-signature': `t=${at},v1=${createHmac('sha256', secret).update(`${at}.`).update(body).digest('hex')},v0=${'0'.repeat(64)}`,
})
