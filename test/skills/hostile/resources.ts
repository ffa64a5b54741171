/** Attacks on what there is a limited amount of. Each stops by itself far beyond the limit, so that the control is harmless. */
import type { Attack } from './attack.ts'

export const RESOURCES: readonly Attack[] = [
  {
    name: 'forks far more processes than it may',
    code: `
import os, signal
def attack(arg):
    children = []
    try:
        for _ in range(400):
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    except OSError:
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
    return len(children) >= 400
`,
    held: ['nothing', 'pids_exhausted'],
    control: 'worked',
  },
  {
    name: 'starts far more threads than it may',
    code: `
import threading
def attack(arg):
    done = threading.Event()
    threads = []
    try:
        for _ in range(400):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError:
        pass
    done.set()
    return len(threads) >= 400
`,
    held: ['nothing', 'pids_exhausted'],
    control: 'worked',
  },
  {
    name: 'fills the memory',
    code: `
def attack(arg):
    held = [bytearray(16 << 20) for _ in range(48)]
    for block in held:
        block[::4096] = b'x' * len(block[::4096])
    return True
`,
    held: ['oom'],
    control: 'worked',
    resources: { memoryMb: 128 },
  },
  {
    name: 'lets a child fill the memory',
    code: `
import os
def attack(arg):
    child = os.fork()
    if child == 0:
        held = [bytearray(16 << 20) for _ in range(48)]
        for block in held:
            block[::4096] = b'x' * len(block[::4096])
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
`,
    // What it got in spite of it counts: it may have been ready for that.
    held: ['oom', 'nothing'],
    control: 'worked',
    resources: { memoryMb: 128 },
  },
  {
    name: 'locks memory',
    code: `
import ctypes
def attack(arg):
    size = 64 << 20
    block = ctypes.create_string_buffer(size)
    return ctypes.CDLL(None).mlock(block, size) == 0
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'fills the disk',
    code: `
def attack(arg):
    written = 0
    try:
        with open('/tmp/big', 'wb') as file:
            for _ in range(96):
                file.write(b'x' * (1 << 20))
                file.flush()
                written += 1
    except OSError:
        pass
    return written == 96
`,
    held: ['nothing', 'oom'],
    control: 'worked',
  },
  {
    name: 'makes more files than a disk has names for',
    code: `
import os
def attack(arg):
    made = 0
    try:
        os.makedirs('/tmp/many')
        for i in range(30000):
            open('/tmp/many/%d' % i, 'w').close()
            made += 1
    except OSError:
        pass
    return made == 30000
`,
    held: ['nothing', 'oom'],
    control: 'worked',
  },
  {
    name: 'opens far more files than it may',
    code: `
import os
def attack(arg):
    opened = []
    try:
        for _ in range(4000):
            opened.append(os.open('/dev/null', os.O_RDONLY))
    except OSError:
        pass
    for fd in opened:
        os.close(fd)
    return len(opened) == 4000
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'makes a file of a terabyte',
    code: `
import os
def attack(arg):
    with open('/tmp/sparse', 'wb') as file:
        try:
            os.truncate(file.fileno(), 1 << 40)
        except OSError:
            return False
    return True
`,
    held: ['nothing', 'crashed'],
    control: 'worked',
  },
  {
    name: 'uses every processor',
    code: `
import os, time
def throttled():
    # How often a group was held back by its quota, which a busy machine is not.
    for path in ('/sys/fs/cgroup/cpu.stat', '/sys/fs/cgroup/cpu/cpu.stat'):
        try:
            for line in open(path):
                if line.startswith('nr_throttled'):
                    return int(line.split()[1])
        except OSError:
            continue
    return 0
def attack(arg):
    before = throttled()
    began = time.monotonic()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            while time.monotonic() - began < 2:
                pass
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    used = os.times()
    return (used.children_user + used.children_system) / (time.monotonic() - began) > 0.35 or throttled() == before
`,
    held: ['nothing'],
    control: 'worked',
    resources: { cpus: 0.2 },
  },
  {
    name: 'writes to its output without end',
    code: `
import os
def attack(arg):
    while True:
        os.write(1, b'x' * 65536)
`,
    held: ['output_limit', 'timeout'],
    control: 'floods',
    timeoutMs: 3_000,
  },
  {
    name: 'writes to its error output without end',
    code: `
import os
def attack(arg):
    while True:
        os.write(2, b'x' * 65536)
`,
    held: ['output_limit', 'timeout'],
    control: 'floods',
    timeoutMs: 3_000,
  },
]
