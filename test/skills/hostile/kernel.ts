/** Attacks by system calls that no skill needs. Each answers whether the kernel even considered it. */
import type { Attack } from './attack.ts'
import { SYSCALLS } from './attack.ts'

const EPERM_ENOSYS = '(1, 38)'

/** Considered: it succeeded, or failed for another reason than that it is not allowed. */
const syscall = (name: string, x86: number, arm: number, args: string): Attack => ({
  name,
  code: `${SYSCALLS}
def attack(arg):
    result, error = call(${x86}, ${arm}, ${args})
    return result >= 0 or error not in ${EPERM_ENOSYS}
`,
  held: ['nothing'],
  control: 'worked',
})

const socketOf = (name: string, family: number, type: number, protocol = 0): Attack => ({
  name,
  code: `
import socket
def attack(arg):
    try:
        socket.socket(${family}, ${type}, ${protocol}).close()
        return True
    except OSError as error:
        return error.errno not in (1, 13)
`,
  held: ['nothing'],
  control: 'worked',
})

export const KERNEL: readonly Attack[] = [
  socketOf('opens a raw socket', 2, 3, 1),
  socketOf('opens a packet socket', 17, 3, 768),
  socketOf('talks to the hypervisor by vsock', 40, 1),
  socketOf("uses the kernel's cryptography by AF_ALG", 38, 5),
  syscall('sets up io_uring', 425, 425, '8, ctypes.create_string_buffer(240)'),
  syscall('reads kernel keyrings', 250, 219, '0, -3, 0, 0, 0'),
  syscall('adds a key', 248, 217, "b'user', b'a', b'b', 1, -3"),
  syscall('loads an eBPF program', 321, 280, '5, ctypes.create_string_buffer(128), 128'),
  syscall('opens performance counters', 298, 241, 'ctypes.create_string_buffer(128), 0, -1, -1, 0'),
  syscall('handles page faults by userfaultfd', 323, 282, '0'),
  syscall("reads the kernel's log", 103, 116, '3, ctypes.create_string_buffer(64), 64'),
  syscall('watches all files by fanotify', 300, 262, '0, 0'),
  syscall('sets the clock', 227, 112, '0, ctypes.create_string_buffer(b"\\xff" * 16, 16)'),
  syscall('renames the machine', 170, 161, "b'', 0"),
  syscall('traces its parent', 101, 117, '0x4206, os.getppid(), 0, 0'),
  syscall("reads another process's memory", 310, 270, 'os.getppid(), None, 0, None, 0, 0'),
  syscall('makes shared memory', 29, 194, '0, 4096, 0o1600'),
  syscall('makes a message queue', 240, 180, "b'openclaw', 0o102, 0o600, None"),
]
