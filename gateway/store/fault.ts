/**
 * What a failing disk or database means to a caller: one of four codes and what to do about it. Tells storage, which may
 * heal, from mistakes in a statement, which will not.
 */
import { UnavailableError } from '#contract'
import { accessSync, constants, statfsSync } from 'node:fs'
import { dirname } from 'node:path'

export type StoreFaultCode = 'STORE_LOCKED' | 'STORE_FULL' | 'STORE_READONLY' | 'STORE_FAILED'

export interface StoreFault {
  readonly code: StoreFaultCode
  readonly detail: string
}

/** Primary result codes (https://sqlite.org/rescode.html). */
const LOCKED = new Set([5, 6])
const READONLY = 8
const IOERR = 10
const FULL = 13
/** NOMEM, CORRUPT, CANTOPEN, PROTOCOL, AUTH of the file system, NOTADB. */
const FAILED = new Set([7, 11, 14, 15, 26])
/** Below this much room an unexplained write error is taken for a full disk. */
const SMALLEST_ROOM_BYTES = 64 * 1024

/** null: the statement or the program is wrong, not the storage. */
export function storeFault(error: unknown, file: string): StoreFault | null {
  const result = resultCode(error)
  if (result === null) return null
  const primary = result & 0xff
  const detail = error instanceof Error ? error.message : String(error)
  if (LOCKED.has(primary)) return { code: 'STORE_LOCKED', detail }
  if (primary === FULL) return { code: 'STORE_FULL', detail }
  if (primary === READONLY) return { code: 'STORE_READONLY', detail }
  if (primary === IOERR) return { code: cause(file), detail: `${detail} (SQLite ${result})` }
  return FAILED.has(primary) ? { code: 'STORE_FAILED', detail: `${detail} (SQLite ${result})` } : null
}

export const unavailable = (fault: StoreFault, file: string): UnavailableError =>
  new UnavailableError(`${ADVICE[fault.code](file)} Nothing was stored. (${fault.detail})`, { code: fault.code })

const ADVICE: { readonly [code in StoreFaultCode]: (file: string) => string } = {
  STORE_LOCKED: (file) =>
    `Another program holds the write lock of ${file}. Close it (a database browser, a backup); writing then goes on by itself.`,
  STORE_FULL: (file) => `The disk that holds ${file} is full. Free some room; writing then goes on by itself.`,
  STORE_READONLY: (file) => `${file} cannot be written. Make the file, its directory and the file system writable for this user.`,
  STORE_FAILED: (file) => `${file} could not be written. Look at the disk and the system log.`,
}

function resultCode(error: unknown): number | null {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : null
}

/** SQLite says IOERR both when a file system went read-only and when a quota is used up: ask the file system. */
function cause(file: string): StoreFaultCode {
  try {
    accessSync(dirname(file), constants.W_OK)
    accessSync(file, constants.W_OK)
    const room = statfsSync(dirname(file))
    return room.bavail * room.bsize < SMALLEST_ROOM_BYTES ? 'STORE_FULL' : 'STORE_FAILED'
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    return code === 'EROFS' || code === 'EACCES' || code === 'EPERM' ? 'STORE_READONLY' : 'STORE_FAILED'
  }
}
