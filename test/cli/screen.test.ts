import assert from 'node:assert/strict'
import test from 'node:test'
import { JsonScreen, PlainScreen, TerminalScreen } from '../../cli/chat/screen.ts'
import type { Sent } from '../../cli/chat/conversation.ts'
import type { Reply } from '../../cli/chat/frame.ts'
import { checkModel, checkRuntime, isAtLeast } from '../../cli/doctor/local.ts'
import { Output } from '../../cli/output.ts'
import { loadConfig } from '../../gateway/config/load.ts'
import { folder } from '../gateway/config/folder.ts'

function recorded(isTTY = true): { readonly out: Output; readonly text: () => string; readonly notes: () => string } {
  let text = ''
  let notes = ''
  const out = new Output({
    stdout: { isTTY, write: (part) => (text += part) },
    stderr: { write: (part) => (notes += part) },
    isColoured: false,
  })
  return { out, text: () => text, notes: () => notes }
}

/** `>` stands for the prompt that is shown, `<` for the one that is taken away. */
function terminal(): { readonly screen: TerminalScreen; readonly text: () => string } {
  const { out, text } = recorded()
  return { text, screen: new TerminalScreen(out, { show: () => out.write('>'), clear: () => out.write('<') }) }
}

const reply = (messageId: string, text: string, index = 0, of = 1): Reply => ({ type: 'reply', seq: 1, messageId, index, of, text })
const sent: Sent = { id: '1', text: 'a question that is quite a bit longer than forty characters', messageId: 'm', lastReplySeq: null }

test('a reply that was streamed is not printed again', () => {
  const { screen, text } = terminal()
  for (const part of ['Hel', 'lo ', 'you']) screen.delta('m', part)
  screen.reply(reply('m', 'Hello you'))
  screen.idle()
  assert.equal(text(), '<Hello you\n>')
})

test('a reply that was streamed in part is completed', () => {
  const { screen, text } = terminal()
  screen.delta('m', 'Hel')
  screen.reply(reply('m', 'Hello'))
  assert.equal(text(), '<Hello\n')
})

test('a streamed reply that comes in parts is recognised part by part', () => {
  const { screen, text } = terminal()
  screen.delta('m', 'part one\n\npart two')
  screen.reply(reply('m', 'part one', 0, 2))
  screen.reply(reply('m', 'part two', 1, 2))
  screen.idle()
  assert.equal(text(), '<part one\n\npart two\n>')
})

test('what was streamed is void when the call is made again, and a reply that differs is printed whole', () => {
  const { screen, text } = terminal()
  screen.delta('m', 'wrong')
  screen.delta('m', null)
  screen.delta('m', 'right')
  screen.reply(reply('m', 'rewritten'))
  assert.equal(text(), '<wrong\n<(starting again)\n<right\n<rewritten\n')
})

test('replies to two messages do not run into each other', () => {
  const { screen, text } = terminal()
  screen.delta('m', 'one')
  screen.delta('n', 'two')
  screen.reply(reply('n', 'two'))
  screen.reply(reply('o', 'three'))
  assert.equal(text(), '<one\n<two\n<three\n')
})

test('states that keep somebody waiting are told, with why, and nothing steers the terminal', () => {
  const { screen, text } = terminal()
  screen.status(sent, 'running', '')
  screen.status(sent, 'retrying', 'MODEL_TIMEOUT')
  screen.refused(sent, 'gone\u001b[2J')
  screen.connection('lost')
  screen.connection('back')
  screen.delta('m', 'a\u001b]0;title\u0007b')
  assert.equal(text(), '<(retrying: MODEL_TIMEOUT)\n<(not answered: gone)\n<(connection lost, trying again)\n><(connected again)\n><ab')
})

test('a pipe gets replies to its own messages only, all else is a note', () => {
  const { out, text, notes } = recorded(false)
  const screen = new PlainScreen(out)
  screen.reply(reply('m', 'ours'), true)
  screen.reply(reply('x', 'of another'), false)
  screen.status(sent, 'waiting', '')
  assert.equal(text(), 'ours\n')
  assert.equal(notes(), '"a question that is quite a bit longer t…" is waiting\n')
  new JsonScreen(out).raw({ type: 'ack' })
  assert.equal(text(), 'ours\n{"type":"ack"}\n')
})

test('a table cuts what does not fit, wide characters counted as two columns', () => {
  const { out, text } = recorded()
  const long = 'x'.repeat(100)
  out.table(
    [
      { id: 'i'.repeat(30), a: '日本語'.repeat(20), b: long },
      { id: 'i', a: '👩‍👩‍👧 é', b: 'short' },
    ],
    [
      { title: 'ID', cell: (row) => row.id, whole: true },
      { title: 'A', cell: (row) => row.a },
      { title: 'B', cell: (row) => row.b },
    ],
    'none',
  )
  const lines = text().trimEnd().split('\n')
  const columns = (line: string): number =>
    [...new Intl.Segmenter().segment(line)].reduce((sum, { segment }) => sum + (/[日本語👩]/u.test(segment) ? 2 : 1), 0)
  assert.ok(lines.every((line) => columns(line) <= 80))
  // The last column begins at the same place in each line.
  assert.equal(new Set(lines.map((line) => columns(line.slice(0, line.search(/(B|x+…|short)$/))))).size, 1)
})

test('versions are compared number by number', () => {
  assert.ok(isAtLeast('24.16.0', '24.16.0') && isAtLeast('24.100.0', '24.16.9') && isAtLeast('25.0.0', '24.16.0'))
  assert.ok(!isAtLeast('24.9.0', '24.16.0') && !isAtLeast('3.51.2', '3.51.3'))
  assert.deepEqual(
    checkRuntime({ node: '20.1.0', sqlite: '3.40.0' }).map(({ state }) => state),
    ['fail', 'fail'],
  )
})

test('doctor says which model will answer', async (t) => {
  const dir = await folder(t, { 'openclaw.yaml': 'agents: {a: {model: openai/x}, b: {}}\nllm: {defaults: {primary: builtin/echo}}\n' })
  const loaded = await loadConfig({ dir, env: {} })
  assert.ok(loaded.ok)
  assert.equal(checkModel(loaded.config, {})[0]?.detail, 'a with openai/x; default builtin/echo')
})
