/** `openclaw keys`: API keys. A secret is printed once, when it is made. */
import { hash } from 'node:crypto'
import { newKeyId } from '#contract'
import type { JsonObject } from '#contract'
import { durationMs } from '../../gateway/config/quantity.ts'
import { newSecret } from '../../gateway/http/keys.ts'
import { age, time } from '../answer.ts'
import type { Call, Command, World } from '../command.ts'
import { documentIn, text, wordsIn } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { Remote } from '../remote.ts'

export const keys: Command = {
  summary:
    'API keys. "create" and "rotate" print the secret on standard output, this once. "generate" makes a key for `keys` in openclaw.yaml, without a gateway.',
  verbs: { list: '', show: '<id>', create: '<name>', rotate: '<id>', revoke: '<id>', generate: '' },
  options: {
    scopes: { value: 'LIST', help: 'create: what it may do, e.g. messages:write,agents:read', many: 'words' },
    roles: { value: 'LIST', help: 'create: roles whose permissions it has, e.g. viewer', many: 'words' },
    expires: { value: 'DURATION', help: 'create: ends after so long, e.g. 90d' },
    grace: { value: 'DURATION', help: 'rotate: so long the secret before counts too, e.g. 1h; at most 7d (none)' },
    limit: { value: 'N', help: 'list: how many (50)' },
  },
  run: async (call, world) => {
    if (call.verb === 'generate') return generate(call, world)
    const { out } = world
    const remote = await Remote.find(world)
    const word = call.words[0] ?? ''
    const path = `/v1/keys/${encodeURIComponent(word)}`
    switch (call.verb) {
      case 'create': {
        const body = { name: word, ...rightsOf(call), ...expiry(call.text('expires')) }
        return showSecret(documentIn((await remote.ask('/v1/keys', { method: 'POST', body })).body), call, world)
      }
      case 'rotate': {
        const seconds = Math.round(lengthOf('--grace', call.text('grace')) / 1_000)
        return showSecret(
          documentIn((await remote.ask(`${path}/rotate`, { method: 'POST', body: { grace_seconds: seconds } })).body),
          call,
          world,
        )
      }
      case 'revoke':
        await remote.ask(path, { method: 'DELETE' })
        if (call.json) out.json({ id: word, status: 'revoked' })
        else out.note(`${word} is revoked.`)
        return EXIT.ok
      case 'show': {
        const key = await remote.get(path)
        if (call.json) out.json(key)
        else out.pairs(Object.entries(key).map(([name, value]) => [name, Array.isArray(value) ? wordsIn(value).join(' ') : text(value)]))
        return EXIT.ok
      }
      default:
        return list(remote, call, world)
    }
  },
}

async function list(remote: Remote, call: Call, { out }: World): Promise<ExitCode> {
  const { page, rows, hasMore } = await remote.list('/v1/keys', { limit: call.text('limit') })
  const now = Date.now()
  if (call.json) out.json(page)
  else {
    out.table(
      rows,
      [
        { title: 'ID', cell: (row) => text(row['id']), whole: true },
        { title: 'NAME', cell: (row) => text(row['name']) },
        { title: 'STATE', cell: stateOf },
        { title: 'USED', cell: (row) => age(row['last_used_at'], now) },
        { title: 'ROLES, SCOPES', cell: (row) => [...wordsIn(row['roles']), ...wordsIn(row['scopes'])].join(' ') },
      ],
      'No keys.',
    )
    if (hasMore) out.note('There are more; see --limit, or --json for the cursor.')
  }
  return EXIT.ok
}

function stateOf(row: JsonObject): string {
  if (row['revoked_at']) return 'revoked'
  if (text(row['from']) === 'config') return 'in file'
  return row['expires_at'] ? `until ${time(row['expires_at']).slice(0, 10)}` : 'valid'
}

function showSecret(key: JsonObject, call: Call, { out }: World): ExitCode {
  if (call.json) out.json(key)
  else {
    const rights = [...wordsIn(key['roles']), ...wordsIn(key['scopes'])].join(', ')
    const until = key['rotated_until'] ? ` The secret before counts until ${time(key['rotated_until'])}.` : ''
    out.note(`Key ${text(key['id'])} of ${text(key['name'])}: ${rights}.${until} Keep the secret now; it is shown nowhere again.`)
    out.line(text(key['secret']))
  }
  return EXIT.ok
}

/** The file holds the digest, the user the key: whoever reads the file cannot use it. */
function generate(call: Call, { out }: World): ExitCode {
  const secret = newSecret(newKeyId(Date.now()))
  const sha256 = hash('sha256', secret)
  if (call.json) out.json({ secret, sha256 })
  else {
    out.note(
      `For openclaw.yaml:\n\nkeys:\n  - name: NAME\n    sha256: ${sha256}\n    roles: [viewer]\n\nThe key itself; keep it now, it is kept nowhere:`,
    )
    out.line(secret)
  }
  return EXIT.ok
}

function rightsOf(call: Call): { readonly scopes?: readonly string[]; readonly roles?: readonly string[] } {
  const [scopes, roles] = [call.texts('scopes'), call.texts('roles')]
  if (scopes.length === 0 && roles.length === 0) {
    throw new CommandError(
      '--scopes is missing, or --roles: what may the key do? For example --scopes messages:write, --roles viewer, or --scopes "*" for all.',
      EXIT.usage,
    )
  }
  return { ...(scopes.length > 0 && { scopes }), ...(roles.length > 0 && { roles }) }
}

function expiry(duration: string | undefined): { readonly expires_at?: string } {
  return duration === undefined ? {} : { expires_at: new Date(Date.now() + lengthOf('--expires', duration)).toISOString() }
}

function lengthOf(option: string, duration: string | undefined): number {
  if (duration === undefined) return 0
  const ms = durationMs(duration)
  if (ms === null || ms === 0) throw new CommandError(`${option} ${duration} is no duration like 12h or 90d.`, EXIT.usage)
  return ms
}
