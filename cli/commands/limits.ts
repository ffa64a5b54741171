/** `openclaw limits`: how many requests the gateway takes, changed while it runs. */
import type { Command } from '../command.ts'
import { text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const limits: Command = {
  summary: 'Requests a minute from one address without a credential, and with one credential; 0: no limit.',
  verbs: { show: '', set: '<per-ip> <per-key>', reset: '' },
  run: async ({ verb, words, json }, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    if (verb === 'reset') await remote.ask('/v1/limits', { method: 'DELETE' })
    if (verb === 'set') {
      const [perIp = '', perKey = ''] = words
      if (![perIp, perKey].every((word) => /^\d+$/.test(word)))
        throw new CommandError('Both are whole numbers: openclaw limits set 100 1000', EXIT.usage)
      await remote.ask('/v1/limits', { method: 'PUT', body: { per_ip: Number(perIp), per_key: Number(perKey) } })
    }
    const now = await remote.get('/v1/limits')
    if (json) out.json(now)
    else out.line(`per_ip ${text(now['per_ip'])}, per_key ${text(now['per_key'])}`)
    return EXIT.ok
  },
}
