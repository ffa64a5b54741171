/** `openclaw roles`: names for sets of permissions. */
import type { Command } from '../command.ts'
import { text, wordsIn } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const roles: Command = {
  summary: 'Roles that keys and tokens can have. Those of all tenants stand in openclaw.yaml, below `roles`.',
  verbs: { list: '', create: '<name>', change: '<name>', remove: '<name>' },
  options: { permissions: { value: 'LIST', help: 'create, change: what it gives, e.g. agents:read,logs:read', many: 'words' } },
  run: async (call, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    const name = call.words[0] ?? ''
    if (call.verb === 'create' || call.verb === 'change') {
      const permissions = call.texts('permissions')
      if (permissions.length === 0)
        throw new CommandError(
          '--permissions is missing: what does the role give? For example --permissions agents:read,logs:read.',
          EXIT.usage,
        )
      const { body } =
        call.verb === 'create'
          ? await remote.ask('/v1/roles', { method: 'POST', body: { name, permissions } })
          : await remote.ask(`/v1/roles/${encodeURIComponent(name)}`, { method: 'PUT', body: { permissions } })
      if (call.json) out.json(body)
      else out.note(`Role ${name}: ${permissions.join(', ')}.`)
      return EXIT.ok
    }
    if (call.verb === 'remove') {
      await remote.ask(`/v1/roles/${encodeURIComponent(name)}`, { method: 'DELETE' })
      if (call.json) out.json({ name, status: 'removed' })
      else out.note(`${name} is removed. Whoever had it lost what it gave.`)
      return EXIT.ok
    }
    const { page, rows, hasMore } = await remote.list('/v1/roles', { limit: 200 })
    if (call.json) out.json(page)
    else {
      out.table(
        rows,
        [
          { title: 'NAME', cell: (row) => text(row['name']), whole: true },
          { title: 'FROM', cell: (row) => text(row['from']), whole: true },
          { title: 'PERMISSIONS', cell: (row) => wordsIn(row['permissions']).join(' ') },
        ],
        'No roles.',
      )
      if (hasMore) out.note('There are more; see --json for the cursor.')
    }
    return EXIT.ok
  },
}
