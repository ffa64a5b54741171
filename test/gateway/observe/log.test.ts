import assert from 'node:assert/strict'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { spawn } from 'node:child_process'
import test from 'node:test'
import { createLog } from '../../../gateway/observe/log.ts'
import type { GatewayLog, LogOptions } from '../../../gateway/observe/log.ts'
import { Redactor } from '../../../gateway/observe/redact.ts'

function recorded(options: Partial<LogOptions> = {}): { readonly log: GatewayLog; readonly lines: string[] } {
  const lines: string[] = []
  const now = (): number => Date.UTC(2026, 0, 2, 3, 4, 5, 6)
  const destination = { write: (line: string) => lines.push(line) > 0 }
  return { log: createLog({ level: 'info', format: 'json', version: '1.2.3', destination, now, ...options }), lines }
}

test('a line is one JSON object with time, level, words, service and version', () => {
  const { log, lines } = recorded()
  log.info({ request_id: 'r1', latency_ms: 1.5 }, 'answered')
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /^[^\n]+\n$/)
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    level: 'info',
    ts: '2026-01-02T03:04:05.006Z',
    service: 'openclaw',
    version: '1.2.3',
    request_id: 'r1',
    latency_ms: 1.5,
    msg: 'answered',
  })
})

test('a line says which of several gateways wrote it', () => {
  const { log, lines } = recorded({ node: 'gw-1' })
  log.info({}, 'hello')
  assert.equal((JSON.parse(lines[0] ?? '') as { readonly node_id: string }).node_id, 'gw-1')
})

test('whatever a stranger writes into any field, a line stays one line and shows no escapes', () => {
  const evil = 'a\r\n{"level":"error","msg":"forged"}\u001b[2K\u001b]0;owned\u0007\u2028\u0000\u009b31m'
  for (const format of ['json', 'text'] as const) {
    const { log, lines } = recorded({ format })
    const fields = [
      'request_id',
      'principal',
      'tenant',
      'route',
      'method',
      'channel',
      'agent',
      'sender',
      'message_id',
      'error.code',
      'trace_id',
    ]
    log.info(Object.fromEntries(fields.map((field) => [field, evil])), evil)
    log.child({ channel: evil }).warn({ deep: { [evil]: [evil] }, error: new TypeError(evil) }, evil)
    assert.equal(lines.length, 2)
    for (const line of lines) {
      assert.equal(line.indexOf('\n'), line.length - 1)
      // oxlint-disable-next-line no-control-regex -- they are what is looked for
      assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]|\\u001b|\\r|\\n|\[2K|owned/)
      if (format === 'json') assert.doesNotMatch(JSON.stringify(Object.keys(JSON.parse(line) as object)), /forged/)
    }
  }
})

test('a child carries its fields, clean', () => {
  const { log, lines } = recorded()
  log.child({ channel: 'http', token: 'hidden99' }).child({ message_id: 'm' }).warn({ a: 1 }, 'w')
  const line: unknown = JSON.parse(lines[0] ?? '')
  assert.partialDeepStrictEqual(line, { level: 'warn', channel: 'http', token: '***', message_id: 'm', a: 1 })
})

test('fields, messages, errors and exact values are clean in both formats', () => {
  for (const format of ['json', 'text'] as const) {
    const redactor = new Redactor()
    redactor.add('exactly-this')
    const { log, lines } = recorded({ format, redactor })
    log.error(
      { error: new Error('with exactly-this'), url: 'http://u:hidden99@h/', password: 'hidden99' },
      'Bearer hidden99\nand exactly-this',
    )
    assert.equal(lines.length, 1)
    assert.doesNotMatch(lines[0] ?? '', /hidden99|exactly-this|\n./)
  }
})

test('the text format is one line for people', () => {
  const { log, lines } = recorded({ format: 'text' })
  log.child({ channel: 'http' }).info({ sender: 'a b', n: 2, o: { x: [1] } }, 'hello')
  assert.match(lines[0] ?? '', /^\d\d:\d\d:05\.006 INFO {2}hello channel=http sender="a b" n=2 o=\{"x":\[1\]\}\n$/)
})

test('lines below the level are not written, and the level can change for children too', () => {
  const { log, lines } = recorded()
  const child = log.child({ a: 1 })
  child.debug({}, 'no')
  log.setLevel('debug')
  child.debug({}, 'yes')
  log.setLevel('silent')
  child.error({}, 'no')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).msg),
    ['yes'],
  )
})

test('lines go to standard error and are complete after a flush at the end', async () => {
  const code = `
    const { createLog } = await import(${JSON.stringify(new URL('../../../gateway/observe/log.ts', import.meta.url).href)})
    const log = createLog({ level: 'info', format: 'json', version: '1' })
    for (let i = 0; i < 2000; i++) log.info({ i }, 'line')
    await log.flush()
    process.exit(0)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()])
  assert.equal(Buffer.concat(out).length, 0)
  const lines = Buffer.concat(err).toString().trim().split('\n')
  assert.equal(lines.length, 2_000)
  assert.equal(JSON.parse(lines[1_999] ?? '').i, 1_999)
})

const FULL = '/dev/full'
test('a process whose standard error takes nothing any more still ends', { skip: existsSync(FULL) ? false : `no ${FULL}` }, async () => {
  const code = `
    const { createLog } = await import(${JSON.stringify(new URL('../../../gateway/observe/log.ts', import.meta.url).href)})
    const log = createLog({ level: 'info', format: 'json', version: '1' })
    log.info({}, 'lost')
    await log.flush()
    log.info({}, 'lost too')
    await log.flush()
    process.exit(7)`
  const full = openSync(FULL, 'w')
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'ignore', full],
    timeout: 10_000,
    killSignal: 'SIGKILL',
  })
  const [status] = (await once(child, 'exit')) as [number | null]
  closeSync(full)
  assert.equal(status, 7)
})
