/** The outside of the HTTP channel: clients with a key. */
import type { JsonObject } from '#contract'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'
import { ClientWorld } from '../client-world.ts'
import type { Said } from '../client-world.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

export class HttpWorld extends ClientWorld {
  readonly standing: string = 'http'
  readonly settings: JsonObject = {}

  static async open(scope: Scope): Promise<HttpWorld> {
    return new HttpWorld(scope)
  }

  get secrets(): readonly string[] {
    return this.gateway === null ? [] : [this.gateway.key]
  }

  protected async post(gateway: GatewayProcess, { key, text, user }: Said): Promise<number> {
    const body = JSON.stringify({ payload: text, idempotency_key: key, metadata: { user_id: user } })
    return (await gateway.fetch('/v1/messages', { method: 'POST', body, headers: JSON_TYPE })).status
  }

  protected async postGarbage(gateway: GatewayProcess): Promise<void> {
    const { status } = await gateway.fetch('/v1/messages', { method: 'POST', body: '\u0000{', headers: JSON_TYPE })
    if (status !== 400) throw new Error(`garbage was answered ${status}`)
  }
}
