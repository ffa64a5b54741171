/** `openclaw keys`: API keys. A secret is printed once, when it is made. */
import { age, time } from '../answer.ts'
import type { Command } from '../command.ts'
import { durationMs } from '../../gateway/config/quantity.ts'
import { documentIn, text, wordsIn } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const keys: Command = {
  summary: 'API keys. "create" prints the secret on standard output, this once.',
  verbs: { list: '', create: '<name>', revoke: '<id>' },
  options: {
    scope: { value: 'SCOPE', help: 'create: what it may do, e.g. messages:write; may be repeated', many: true },
    expires: { value: 'DURATION', help: 'create: ends after so long, e.g. 90d' },
  },
  run: async (call, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    const word = call.words[0] ?? ''
    if (call.verb === 'create') {
      const { body } = await remote.ask('/v1/keys', {
        method: 'POST',
        body: { name: word, scopes: scopesOf(call.texts('scope')), ...expiry(call.text('expires')) },
      })
      const key = documentIn(body)
      if (call.json) out.json(key)
      else {
        out.note(`Key ${text(key['id'])} of ${word}: ${wordsIn(key['scopes']).join(', ')}. Keep the secret now; it is shown nowhere again.`)
        out.line(text(key['secret']))
      }
      return EXIT.ok
    }
    if (call.verb === 'revoke') {
      await remote.ask(`/v1/keys/${encodeURIComponent(word)}`, { method: 'DELETE' })
      if (call.json) out.json({ id: word, status: 'revoked' })
      else out.note(`${word} is revoked.`)
      return EXIT.ok
    }
    const { page, rows } = await remote.list('/v1/keys')
    const now = Date.now()
    if (call.json) out.json(page)
    else {
      out.table(
        rows,
        [
          { title: 'ID', cell: (row) => text(row['id']), whole: true },
          { title: 'NAME', cell: (row) => text(row['name']) },
          {
            title: 'STATE',
            cell: (row) => (row['revoked_at'] ? 'revoked' : row['expires_at'] ? `until ${time(row['expires_at']).slice(0, 10)}` : 'valid'),
          },
          { title: 'USED', cell: (row) => age(row['last_used_at'], now) },
          { title: 'SCOPES', cell: (row) => wordsIn(row['scopes']).join(' ') },
        ],
        'No keys.',
      )
    }
    return EXIT.ok
  },
}

function scopesOf(given: readonly string[]): readonly string[] {
  const scopes = given.flatMap((scope) => scope.split(',')).map((scope) => scope.trim())
  if (scopes.length === 0)
    throw new CommandError(
      '--scope is missing: what may the key do? For example --scope messages:write, or --scope "*" for all.',
      EXIT.usage,
    )
  return scopes
}

function expiry(duration: string | undefined): { readonly expires_at?: string } {
  if (duration === undefined) return {}
  const ms = durationMs(duration)
  if (ms === null || ms === 0) throw new CommandError(`--expires ${duration} is no duration like 12h or 90d.`, EXIT.usage)
  return { expires_at: new Date(Date.now() + ms).toISOString() }
}
