/** kill -9 in the middle of a burst: what was acknowledged is there. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { DEFAULT_TENANT } from '#contract'
import type { Store } from '#contract'
import { balanced } from '../../contract/store/given.ts'
import { withThreads } from './given.ts'

const ROUNDS = 20

/** Runs until it has acknowledged so many, then dies; answers all that it said. */
async function acceptAndDie(file: string, enough: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [new URL('./writer-child.ts', import.meta.url).pathname, file, '16'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (said.length > enough * 31) child.kill('SIGKILL')
  })
  await once(child, 'close')
  return said.split('\n').slice(1, -1)
}

async function idsOf(store: Store): Promise<ReadonlySet<string>> {
  const ids = new Set<string>()
  for (let before: number | null = null; ;) {
    const page = await store.inbox.list({ tenant: DEFAULT_TENANT }, before, 1_000)
    for (const view of page) ids.add(view.id)
    const last = page.at(-1)
    if (last === undefined) return ids
    before = last.seq
  }
}

test(
  `keeps every acknowledged message over ${ROUNDS} kills`,
  withThreads(async ({ file, open }) => {
    const acknowledged: string[] = []
    for (let round = 0; round < ROUNDS; round++) acknowledged.push(...(await acceptAndDie(file, 1 + round * 7)))
    const store = await open()
    const kept = await idsOf(store)
    assert.ok(acknowledged.length >= ROUNDS)
    assert.deepEqual(
      acknowledged.filter((id) => !kept.has(id)),
      [],
    )
    await balanced(store)
  }),
)
