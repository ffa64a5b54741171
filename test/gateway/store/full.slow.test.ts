/**
 * A disk that is really full: a small tmpfs in a mount namespace of its own, which needs no privilege where the kernel
 * allows user namespaces. The child holds the store, fills the disk and frees it; here stands what must come of it.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const UNSHARE = ['--map-root-user', '--mount']
const canMount = spawnSync('unshare', [...UNSHARE, 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0

test(
  'a full disk: nothing is acknowledged, what was is kept, and it recovers by itself',
  { skip: canMount ? false : 'no mount namespace to be had' },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'openclaw-full-'))
    try {
      const child = new URL('./full-child.ts', import.meta.url).pathname
      const script = 'mount -t tmpfs -o size=4m none "$1" && exec "$2" "$3" "$1"'
      const { stdout } = await promisify(execFile)('unshare', [...UNSHARE, 'sh', '-c', script, 'sh', folder, process.execPath, child], {
        timeout: 30_000,
      })
      const seen = JSON.parse(stdout)
      assert.deepEqual(seen.refusals, ['STORE_FULL'])
      assert.deepEqual([seen.health.ok, seen.health.code], [false, 'STORE_FULL'])
      assert.ok(seen.acknowledged > 0)
      assert.equal(seen.kept, seen.acknowledged)
      assert.equal(seen.afterwards, 'new')
    } finally {
      await rm(folder, { recursive: true })
    }
  },
)
