import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { prepare } from '../../../skills/sandbox/quickjs/guest.ts'
import type { Guest, Host } from '../../../skills/sandbox/quickjs/guest.ts'
import { Stock } from '../../../skills/sandbox/quickjs/stock.ts'
import type { CallEnd, CallStart } from '../../../skills/sandbox/quickjs/wire.ts'

const MB = 1_048_576
const wasm = await WebAssembly.compile(await readFile(fileURLToPath(import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm'))))

function startOf(lease: string | null, { memoryMb = 64, megabytes = 0 } = {}): CallStart {
  const files = new Map([
    ['main.js', `export const run = () => Array.from({ length: ${megabytes} }, () => new Uint8Array(1 << 20)).length`],
  ])
  const limits = { memoryBytes: memoryMb * MB, timeoutMs: 10_000, canFetch: false }
  return { call: 1, flag: new SharedArrayBuffer(4), lease, entrypoint: 'main.js', files, input: '{}', secrets: '{}', key: 'k', ...limits }
}

interface Counted {
  readonly stock: Stock
  /** Whether a call was given an instance that nobody used before. */
  readonly use: (start: CallStart, isWell?: boolean) => Promise<boolean>
}

function counted(): Counted {
  const fresh = new Set<Guest>()
  const stock = new Stock(async (memoryBytes) => {
    const guest = await prepare(wasm, memoryBytes)
    fresh.add(guest)
    return guest
  })
  const use = async (start: CallStart, isWell = true): Promise<boolean> => {
    const guest = await stock.take(start)
    const ends: CallEnd[] = []
    const host: Host = {
      log() {},
      progress() {},
      ask() {},
      isAborted: () => false,
      isOver: () => false,
      ended: (end) => ends.push(end),
      tooMuch() {},
    }
    guest.begin(host, start)
    while (guest.work());
    assert.equal(ends[0]?.is, 'output')
    stock.put(guest, { isWell, memoryBytes: start.memoryBytes })
    await stock.ready()
    return fresh.has(guest)
  }
  return { stock, use }
}

test('calls of one lease share an instance, and no other call gets it', async () => {
  const { use } = counted()
  assert.equal(await use(startOf('a')), true)
  assert.equal(await use(startOf('b')), true)
  assert.equal(await use(startOf(null)), true)
  assert.equal(await use(startOf('a', { memoryMb: 32 })), true, 'with another limit')
  assert.equal(await use(startOf('b')), false)
  assert.equal(await use(startOf('a', { memoryMb: 32 })), false)
  assert.equal(await use(startOf('a')), true, 'two are kept')
})

test('a fresh call has an instance that nobody used, and leaves none', async () => {
  const { use } = counted()
  for (let n = 0; n < 3; n++) assert.equal(await use(startOf(null)), true)
})

test('an instance is given up when its memory grew, when its call went wrong, and after a hundred calls', async () => {
  const { use } = counted()
  await use(startOf('a', { megabytes: 20 }))
  assert.equal(await use(startOf('a')), true)
  assert.equal(await use(startOf('a'), false), false)
  assert.equal(await use(startOf('a')), true)
  const uses: boolean[] = []
  for (let n = 0; n < 101; n++) uses.push(await use(startOf('c')))
  assert.deepEqual([uses[0], uses[1], uses[99], uses[100]], [true, false, false, true])
})
