/** `openclaw revocations`: tokens of issuers that count no more, one or all of a subject. */
import { age } from '../answer.ts'
import type { Command } from '../command.ts'
import { text } from '../document.ts'
import { EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const revocations: Command = {
  summary: 'Tokens of identity providers, called back before their end: one by its id (jti), or all that a subject has now.',
  verbs: { list: '', token: '<issuer> <jti>', subject: '<issuer> <subject>' },
  options: { limit: { value: 'N', help: 'list: how many (50)' } },
  run: async (call, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    const [issuer = '', word = ''] = call.words
    if (call.verb !== 'list') {
      const of = call.verb === 'token' ? { jti: word } : { subject: word }
      const { body } = await remote.ask('/v1/revocations', { method: 'POST', body: { issuer, ...of } })
      if (call.json) out.json(body)
      else out.note(call.verb === 'token' ? `Token ${word} counts no more.` : `No token that ${word} has now counts any more.`)
      return EXIT.ok
    }
    const { page, rows, hasMore } = await remote.list('/v1/revocations', { limit: call.text('limit') })
    const now = Date.now()
    if (call.json) out.json(page)
    else {
      out.table(
        rows,
        [
          { title: 'MADE', cell: (row) => age(row['created_at'], now), whole: true },
          { title: 'BY', cell: (row) => text(row['created_by']) },
          { title: 'ISSUER', cell: (row) => text(row['issuer']) },
          { title: 'TOKEN', cell: (row) => text(row['jti']) || 'all' },
          { title: 'SUBJECT', cell: (row) => text(row['subject']) || '-' },
        ],
        'No revocations.',
      )
      if (hasMore) out.note('There are more; see --limit, or --json for the cursor.')
    }
    return EXIT.ok
  },
}
