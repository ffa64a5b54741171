/**
 * The gateway in a folder whose disk is really full: a small tmpfs in a mount namespace of its own, as in the store's own test. The child
 * starts the gateway there, fills the disk and frees it; here stands what must come of it.
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
  'on a full disk nothing is acknowledged, what was is answered once there is room, and that by itself',
  { skip: canMount ? false : 'no mount namespace to be had', timeout: 60_000 },
  async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'openclaw-full-'))
    context.after(() => rm(folder, { recursive: true }))
    const child = new URL('./disk-full-child.ts', import.meta.url).pathname
    const script = 'mount -t tmpfs -o size=24m none "$1" && exec "$2" "$3" "$1"'
    const { stdout } = await promisify(execFile)('unshare', [...UNSHARE, 'sh', '-c', script, 'sh', folder, process.execPath, child], {
      timeout: 50_000,
    })
    const seen = JSON.parse(stdout)
    context.diagnostic(stdout)
    assert.deepEqual(seen.refusals, [[503, 'STORE_FULL']])
    assert.ok(seen.retryAfter > 0)
    assert.ok(seen.acknowledged > 0)
    assert.equal(seen.readyWhileFull, 503)
    assert.match(seen.detail, /STORE_FULL.*Free some room/)
    assert.equal(seen.healthWhileFull, 200)
    assert.equal(seen.kept, seen.acknowledged, 'all that was acknowledged, and nothing else')
    assert.equal(seen.answeredOnce, seen.acknowledged)
    assert.equal(seen.afterwards, 'You said: afterwards')
    assert.equal(seen.exit, 0)
  },
)
