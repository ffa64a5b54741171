/** How a command's line is read, and how what is printed fits: the same for all commands, so it is tried on each of them. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import test from 'node:test'
import { readCall } from '../../cli/command.ts'
import type { Command } from '../../cli/command.ts'
import { COMMANDS, isCommand } from '../../cli/commands.ts'
import { help } from '../../cli/commands/help.ts'
import { Output } from '../../cli/output.ts'

function recorded(columns?: number): { readonly out: Output; readonly text: () => string; readonly notes: () => string } {
  let text = ''
  let notes = ''
  const terminal = columns === undefined ? {} : { isTTY: true, columns }
  const out = new Output({
    stdout: { ...terminal, write: (part) => (text += part) },
    stderr: { write: (part) => (notes += part) },
    isColoured: false,
  })
  return { out, text: () => text, notes: () => notes }
}

/** With an option of its own kind each. */
const lists: Command = {
  summary: '',
  verbs: { '': '[word]' },
  options: {
    scopes: { value: 'LIST', help: '', many: 'words' },
    header: { value: 'NAME=VALUE', help: '', many: 'whole' },
    status: { value: 'STATUS', help: '' },
  },
  run: async () => 0,
}
const read = (...args: readonly string[]): readonly string[] => {
  const call = readCall('keys', lists, args)
  assert.ok(call !== 'help')
  return [...call.texts('scopes'), ...call.texts('header')]
}

test('a list is given with commas, or by repeating its option, in the plural or the singular', () => {
  for (const args of [
    ['--scopes', 'a,b'],
    ['--scopes', 'a', '--scopes', 'b'],
    ['--scope', 'a', '--scope', 'b'],
    ['--scope', 'a,b'],
    ['--scopes=a, b,'],
    ['--scope=a', '--scopes=b'],
  ])
    assert.deepEqual(read(...args), ['a', 'b'], args.join(' '))
  assert.deepEqual(read('--scopes', ' , '), [])
  assert.deepEqual(read('--header', 'accept=a,b', '--header', 'x=1'), ['accept=a,b', 'x=1'], 'a value of its own may have commas')
})

test('only lists have a singular, and what comes after -- is no option', () => {
  assert.throws(() => readCall('keys', lists, ['--statu', 'x']), /no option --statu\. Did you mean --status\?/)
  assert.throws(() => readCall('keys', lists, ['--scop', 'x']), /Did you mean --scopes\?/)
  assert.deepEqual(read('--', '--scope'), [])
})

test('every option of every command that takes several is a list by that rule, or says in its value that it is not', async () => {
  const many: string[] = []
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    for (const [option, { value, many: kind }] of Object.entries((await load()).options ?? {})) {
      if (kind === undefined) continue
      many.push(`${name} --${option}`)
      if (kind === 'words') assert.deepEqual([option.endsWith('s'), value], [true, 'LIST'], `${name} --${option}`)
      else assert.match(value ?? '', /=/, `${name} --${option}`)
    }
  }
  assert.deepEqual(many, ['keys --scopes', 'keys --roles', 'roles --permissions', 'webhooks --events', 'routes --header'])
})

test('the help of every command fits a terminal of 60 columns, and 80 where there is none', async () => {
  for (const columns of [60, undefined]) {
    for (const name of ['', ...Object.keys(COMMANDS)]) {
      const { out, text } = recorded(columns)
      const call = readCall('help', help, name === '' ? [] : [name])
      assert.ok(call !== 'help' && (name === '' || isCommand(name)))
      await help.run(call, { env: {}, cwd: '/', stdin: Readable.from([]), out, signal: new AbortController().signal })
      for (const line of text().split('\n')) assert.ok(line.length <= (columns ?? 80), `${name}, ${columns}: ${line}`)
    }
  }
})

test('a table is as wide as its terminal, 80 columns where there is none, and never so narrow that nothing is told', () => {
  const widths = [20, 60, 120, undefined].map((columns) => {
    const { out, text } = recorded(columns)
    out.table(
      [{ id: 'x'.repeat(10) }],
      [
        { title: 'ID', cell: ({ id }) => id, whole: true },
        { title: 'TEXT', cell: () => 'y'.repeat(500) },
      ],
      'None.',
    )
    return Math.max(
      ...text()
        .split('\n')
        .map((line) => line.length),
    )
  })
  assert.deepEqual(widths, [40, 60, 120, 80])
})

test('what others wrote steers no terminal, on standard error either', () => {
  const { out, notes } = recorded(80)
  out.note('key \u001b[2J\u001b]0;title\u0007of \u009b31m\u202eeve: ok')
  assert.equal(notes(), 'key of eve: ok\n')
})
