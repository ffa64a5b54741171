/**
 * What one hostile skill tries. `code` is Python that defines `attack(arg)`, which answers whether it got what it wanted. The same code runs
 * in the sandbox and, as a positive control, in a container without our defences: a test that passes there too shows nothing.
 */
import type { JsonValue, SkillErrorCode, SkillResources } from '#contract'

export interface Attack {
  /** What it does, as a sentence without its end. */
  readonly name: string
  readonly code: string
  /** Given to `attack`; `OUTSIDE` in it becomes the address of a listener on this machine. */
  readonly arg?: JsonValue
  /** Ways in which it may end in the sandbox: it got nothing, or it was ended with one of these codes. */
  readonly held: readonly ('nothing' | SkillErrorCode)[]
  /** worked: `attack` is true without the defences. hangs: it runs for ever. dies: it is killed itself. floods: it writes more than anybody would read. */
  readonly control: 'worked' | 'hangs' | 'dies' | 'floods'
  readonly timeoutMs?: number
  readonly resources?: Partial<SkillResources>
}

/** Raw system calls by number, for what Python has no function for. */
export const SYSCALLS = `
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
arm = platform.machine() == 'aarch64'
def call(x86, arm64, *args):
    ctypes.set_errno(0)
    result = libc.syscall(arm64 if arm else x86, *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return result, ctypes.get_errno()
`
