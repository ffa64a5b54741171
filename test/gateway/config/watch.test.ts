import assert from 'node:assert/strict'
import { mkdir, rename, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { watchConfig } from '../../../gateway/config/watch.ts'
import { folder } from './folder.ts'

interface Watched {
  readonly dir: string
  readonly file: string
  readonly count: () => number
  /** Resolves once `onChange` ran since the last time it was asked. */
  readonly changed: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** In a folder of its own, unless it is given one. */
async function watched(t: test.TestContext, given?: string, name = 'openclaw.yaml'): Promise<Watched> {
  const dir = given ?? (await folder(t, { [name]: 'project: a\n' }))
  const file = join(dir, name)
  const abort = new AbortController()
  const calls: Promise<void>[] = []
  let count = 0
  let next = Promise.withResolvers<void>()
  calls.push(next.promise)
  const ready = Promise.withResolvers<void>()
  const onChange = (): void => {
    count++
    next.resolve()
    next = Promise.withResolvers<void>()
    calls.push(next.promise)
  }
  const ended = watchConfig({ file, debounceMs: 20, onChange, signal: abort.signal, ready: ready.resolve })
  const stop = async (): Promise<void> => {
    abort.abort()
    await ended
  }
  t.after(stop)
  await ready.promise
  return { dir, file, count: () => count, changed: async () => await calls.shift(), stop }
}

const BOUND = { timeout: 30_000 }

test('a write is told once', BOUND, async (t) => {
  const { file, changed, count } = await watched(t)
  await writeFile(file, 'project: b\n')
  await changed()
  await writeFile(file, 'project: c\n')
  await changed()
  assert.equal(count(), 2)
})

test('an editor that replaces the file is seen, again and again', BOUND, async (t) => {
  const { dir, file, changed } = await watched(t)
  for (const text of ['project: b\n', 'project: c\n', 'project: d\n']) {
    await writeFile(join(dir, 'new'), text)
    await rename(join(dir, 'new'), file)
    await changed()
  }
})

test('a file that is removed or first made later is a change', BOUND, async (t) => {
  const { file, changed } = await watched(t)
  await unlink(file)
  await changed()
  await writeFile(file, 'project: z\n')
  await changed()
})

test('a link swapped beside the file is a change, as Kubernetes does it', BOUND, async (t) => {
  const dir = await folder(t, {})
  for (const version of ['v1', 'v2']) {
    await mkdir(join(dir, version))
    await writeFile(join(dir, version, 'openclaw.yaml'), `project: ${version}\n`)
  }
  await symlink('v1', join(dir, '..data'))
  await symlink(join('..data', 'openclaw.yaml'), join(dir, 'openclaw.yaml'))
  const { changed } = await watched(t, dir)
  await symlink('v2', join(dir, '..tmp'))
  await rename(join(dir, '..tmp'), join(dir, '..data'))
  await changed()
})

test('a touch and the files beside it are no change', BOUND, async (t) => {
  const { dir, file, changed, count } = await watched(t)
  await writeFile(join(dir, 'sessions.db-wal'), 'x')
  await utimes(file, 1, 1)
  await writeFile(file, 'project: a\n')
  // A watch of a file beside it, with the same patience, that has told of something later: ours has had its look.
  const later = await watched(t, dir, 'beside.yaml')
  for (const text of ['x', 'y', 'z']) {
    await writeFile(later.file, text)
    await later.changed()
  }
  assert.equal(count(), 0)
  await writeFile(file, 'project: b\n')
  await changed()
  assert.equal(count(), 1)
})

test('a watch ends when it is told to, and a callback that throws ends it too', BOUND, async (t) => {
  const { stop, file, count } = await watched(t)
  await stop()
  await writeFile(file, 'project: b\n')
  assert.equal(count(), 0)
  const dir = await folder(t, { 'openclaw.yaml': '' })
  const ready = Promise.withResolvers<void>()
  const ended = watchConfig({
    file: join(dir, 'openclaw.yaml'),
    debounceMs: 1,
    onChange: () => {
      throw new Error('no')
    },
    signal: AbortSignal.timeout(20_000),
    ready: ready.resolve,
  })
  await ready.promise
  await writeFile(join(dir, 'openclaw.yaml'), 'x')
  await assert.rejects(ended, /no/)
})
