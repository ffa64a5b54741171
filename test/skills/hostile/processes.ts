/** Attacks by processes that will not end, end too early, or end others. */
import type { Attack } from './attack.ts'

export const PROCESSES: readonly Attack[] = [
  {
    name: 'sleeps for ever',
    code: `
import time
def attack(arg):
    while True:
        time.sleep(3600)
`,
    held: ['timeout'],
    control: 'hangs',
    timeoutMs: 800,
  },
  {
    name: 'spins and ignores every signal that can be ignored',
    code: `
import signal
def attack(arg):
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        pass
`,
    held: ['timeout'],
    control: 'hangs',
    timeoutMs: 800,
  },
  {
    name: 'stops itself',
    code: `
import os, signal
def attack(arg):
    os.kill(os.getpid(), signal.SIGSTOP)
    return True
`,
    held: ['timeout', 'crashed'],
    control: 'hangs',
    timeoutMs: 800,
  },
  {
    name: 'closes every descriptor and waits',
    code: `
import os, time
def attack(arg):
    os.closerange(0, 4096)
    time.sleep(3600)
`,
    held: ['timeout', 'crashed', 'protocol'],
    control: 'hangs',
    timeoutMs: 800,
  },
  {
    name: 'leaves fifty zombies',
    code: `
import os, time
def attack(arg):
    for _ in range(50):
        if os.fork() == 0:
            os._exit(0)
    time.sleep(0.2)
    return sum(1 for name in os.listdir('/proc') if name.isdigit() and open('/proc/%s/stat' % name).read().split(')')[-1].split()[0] == 'Z') >= 50
`,
    held: ['nothing', 'pids_exhausted'],
    control: 'worked',
    resources: { pids: 32 },
  },
  {
    name: 'kills everything it can reach',
    code: `
import os, signal, time
def attack(arg):
    keeper = os.fork()
    if keeper == 0:
        time.sleep(60)
        os._exit(0)
    if os.fork() == 0:
        os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(keeper, 0)
    return True
`,
    held: ['nothing', 'crashed', 'protocol', 'timeout'],
    control: 'dies',
    timeoutMs: 3_000,
  },
  {
    name: 'reads and writes the memory of its supervisor',
    code: `
import os
def attack(arg):
    victim = 1 if os.getpid() != 1 else os.getpid()
    with open('/proc/%d/maps' % victim) as maps:
        start = next(int(line.split('-')[0], 16) for line in maps if ' rw-p ' in line)
    with open('/proc/%d/mem' % victim, 'r+b', buffering=0) as memory:
        memory.seek(start)
        byte = memory.read(1)
        memory.seek(start)
        memory.write(byte)
    return True
`,
    held: ['nothing', 'crashed'],
    control: 'worked',
  },
  {
    name: "reads its supervisor's environment and descriptors",
    code: `
import os
def attack(arg):
    return len(open('/proc/1/environ').read()) >= 0 and len(os.listdir('/proc/1/fd')) > 0
`,
    held: ['nothing', 'crashed'],
    control: 'worked',
  },
]
