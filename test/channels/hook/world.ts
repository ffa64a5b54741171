/** The outside of a hook: somebody else's system, which posts what people say there under its signature. */
import type { JsonObject } from '#contract'
import { asStandard } from '../../fakes/hook-sender.ts'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'
import { ClientWorld } from '../client-world.ts'
import type { Said } from '../client-world.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

export class HookWorld extends ClientWorld {
  readonly settings: JsonObject = { kind: 'hook', secret: SECRET, map: { sender: '/user', text: '/text' } }
  readonly secrets: readonly string[] = [SECRET]

  static async open(scope: Scope): Promise<HookWorld> {
    return new HookWorld(scope)
  }

  protected post(gateway: GatewayProcess, { key, text, user }: Said): Promise<number> {
    return send(gateway, key, JSON.stringify({ user, text }))
  }

  protected async postGarbage(gateway: GatewayProcess): Promise<void> {
    const status = await send(gateway, 'garbage', '')
    if (status !== 202) throw new Error(`garbage was answered ${status}`)
  }
}

async function send(gateway: GatewayProcess, id: string, body: string): Promise<number> {
  const headers = asStandard({ secret: SECRET, body, id, at: Math.floor(Date.now() / 1_000) })
  const answer = await fetch(`${gateway.url}/hooks/wire`, { method: 'POST', body, headers, signal: AbortSignal.timeout(30_000) })
  await answer.arrayBuffer()
  return answer.status
}
