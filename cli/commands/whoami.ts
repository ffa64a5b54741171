/** `openclaw whoami`: whom the gateway takes this command for, and what that allows. */
import { time } from '../answer.ts'
import type { Command } from '../command.ts'
import { text, wordsIn } from '../document.ts'
import { EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const whoami: Command = {
  summary: 'Who the credential of this command proves, how, and what it allows.',
  verbs: { '': '' },
  run: async (call, world) => {
    const { out } = world
    const you = await (await Remote.find(world)).get('/v1/whoami')
    if (call.json) out.json(you)
    else {
      out.pairs([
        ['principal', text(you['principal'])],
        ['tenant', text(you['tenant'])],
        ['proven by', `${text(you['proven_by'])} ${text(you['credential'])}`],
        ['roles', wordsIn(you['roles']).join(' ') || '-'],
        ['may', wordsIn(you['scopes']).join(' ') || 'nothing'],
        ['until', you['expires_at'] ? time(you['expires_at']) : 'it is revoked'],
      ])
    }
    return EXIT.ok
  },
}
