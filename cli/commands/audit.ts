/** `openclaw audit`: who changed what, whether nobody has touched the record since, and the record as lines for another system. */
import { appendFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { time } from '../answer.ts'
import type { Command } from '../command.ts'
import { documentIn, text } from '../document.ts'
import { EXIT } from '../exit.ts'
import { plain } from '../output.ts'
import { Remote } from '../remote.ts'

export const audit: Command = {
  summary: 'Who changed what. "verify" checks the chain of entries, "export" writes them as JSON lines, "follow" shows them as they come.',
  verbs: { list: '', verify: '', export: '', follow: '' },
  options: {
    action: { value: 'NAME', help: 'list: only this action, such as keys.create' },
    actor: { value: 'NAME', help: 'list: only by this owner of a key' },
    object: { value: 'ID', help: 'list: only on this' },
    outcome: { value: 'OUTCOME', help: 'list: ok, denied or failed' },
    since: { value: 'TIME', help: 'list: from this ISO 8601 time on' },
    until: { value: 'TIME', help: 'list: before this time' },
    limit: { value: 'N', help: 'list: how many (20)' },
    after: { value: 'SEQ', help: 'export, follow: entries after this number' },
    file: { value: 'FILE', help: 'export: append to this file instead of printing' },
  },
  run: async (call, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    switch (call.verb) {
      case 'verify': {
        const verdict = await remote.get('/v1/audit/verify')
        const fault = documentIn(verdict['fault'])
        if (call.json) out.json(verdict)
        else if (verdict['ok'] === true) {
          const sealed = Number(verdict['sealed']) > 0 ? `, those up to ${text(verdict['sealed'])} are sealed` : ''
          out.note(
            `${text(verdict['entries'])} entries are as they were written${sealed}; ${text(verdict['checkpoints'])} checkpoints agree.`,
          )
        } else out.note(`The audit was changed: at entry ${text(fault['seq'])}, ${text(fault['reason'])}.`)
        return verdict['ok'] === true ? EXIT.ok : EXIT.failed
      }
      case 'export': {
        const file = call.text('file')
        let after = Number(call.text('after') ?? 0)
        for (;;) {
          // Each page is an answer of its own: an export may be as long as the record.
          const lines = await remote.text(`/v1/audit/export?after=${after}`)
          if (lines === '') return EXIT.ok
          if (file === undefined) out.write(lines)
          else await appendFile(resolve(world.cwd, file), lines, { mode: 0o600 })
          const last: { readonly seq: number } = JSON.parse(lines.trimEnd().split('\n').at(-1) ?? '')
          after = last.seq
        }
      }
      case 'follow': {
        const after = call.text('after')
        for await (const { data } of remote.events(
          '/v1/audit/stream',
          after === undefined ? {} : { headers: { 'last-event-id': after } },
        )) {
          const entry = documentIn(data)
          if (call.json) out.json(entry)
          else {
            const who = documentIn(entry['actor'])
            const did = `${text(who['id'])}  ${text(entry['action'])}  ${text(entry['object']) || '-'}  ${text(entry['outcome'])}`
            out.note(`${time(entry['at'])}  ${plain(did).replaceAll(/\s/g, ' ')}`)
          }
        }
        return EXIT.ok
      }
      default: {
        const of = Object.fromEntries(['action', 'actor', 'object', 'outcome', 'since', 'until'].map((name) => [name, call.text(name)]))
        const { page, rows, hasMore } = await remote.list('/v1/audit', { ...of, limit: call.text('limit') ?? 20 })
        if (call.json) out.json(page)
        else {
          out.table(
            rows,
            [
              { title: 'SEQ', cell: (row) => text(row['seq']), whole: true },
              { title: 'AT', cell: (row) => time(row['at']), whole: true },
              { title: 'WHO', cell: (row) => text(documentIn(row['actor'])['id']) },
              { title: 'DID', cell: (row) => text(row['action']), whole: true },
              { title: 'TO', cell: (row) => text(row['object']) || '-' },
              { title: 'OUTCOME', cell: (row) => text(row['outcome']), whole: true },
            ],
            'Nothing was changed yet.',
          )
          if (hasMore) out.note('There are more; see --limit, or --json for the cursor.')
        }
        return EXIT.ok
      }
    }
  },
}
