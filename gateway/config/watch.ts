/**
 * Tells when the configuration file says something else. Watches the folder, because editors replace the file and a Kubernetes volume swaps
 * a link beside it; compares the content, because the folder also holds a database that is written all the time and
 * a touch is no change. Loading and keeping the old configuration on a bad edit is the caller's.
 */
import { createHash } from 'node:crypto'
import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

export interface WatchOptions {
  readonly file: string
  /** How long the folder must be quiet, so that half a write is not read. */
  readonly debounceMs: number
  /** Never called again before it resolved. What it throws ends the watch. */
  readonly onChange: () => void | Promise<void>
  readonly signal: AbortSignal
}

/** Resolves when `signal` aborts; rejects when the folder can no longer be watched. `ready` is called once it is. */
export async function watchConfig(options: WatchOptions & { readonly ready?: () => void }): Promise<void> {
  const { file, debounceMs, onChange, signal } = options
  const { changed, stop } = listen(file, signal)
  try {
    let known = await digest(file)
    options.ready?.()
    while (await changed()) {
      await wait(debounceMs, undefined, { signal })
      const now = await digest(file)
      if (now === known) continue
      known = now
      await onChange()
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    stop()
  }
}

/** `changed` resolves at the next change of the file or of the link behind it since it was last asked; false: stop. */
function listen(file: string, signal: AbortSignal): { readonly changed: () => Promise<boolean>; readonly stop: () => void } {
  let seen = false
  let failure: Error | undefined
  let wake: (() => void) | undefined
  const names = new Set<string | null>([basename(file), '..data', null])
  const watcher = watch(dirname(file), (_, name) => {
    if (!names.has(name)) return
    seen = true
    wake?.()
  })
  watcher.on('error', (error: Error) => {
    failure = error
    wake?.()
  })
  const abort = (): void => wake?.()
  signal.addEventListener('abort', abort, { once: true })
  const changed = async (): Promise<boolean> => {
    if (!seen && !failure && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve))
    if (failure) throw failure
    seen = false
    return !signal.aborted
  }
  const stop = (): void => {
    signal.removeEventListener('abort', abort)
    watcher.close()
  }
  return { changed, stop }
}

/** Of the content; of nothing when there is no such file. */
async function digest(file: string): Promise<string> {
  const content = await readFile(file).catch(() => '')
  return createHash('sha256').update(content).digest('hex')
}
