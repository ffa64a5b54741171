/**
 * What one call leaves for the next: the first `plant`s, the second `look`s, in the same skill of the same tenant, where a container is
 * shared. `look` answers whether it found it.
 */
export interface Leak {
  readonly name: string
  readonly plant: string
  readonly look: string
  /** It stays in the program's file: two processes show it, and one alone does not. */
  readonly isOfItsProgram?: boolean
}

/** The control, where `plant` and `look` are there: in one place without our defences, one after the other. */
export const ONE_AFTER_THE_OTHER = 'def attack(arg):\n    plant(arg)\n    return look(arg)\n'

const BY_NAME = '\nimport sys\nsys.exit(0 if globals()[sys.argv[1]](None) else 1)\n'

/** The control of a program that changes itself: run twice from one file that nobody writes anew. */
export const twice = (program: string): string => `
import os, subprocess
SOURCE = ${JSON.stringify(program + BY_NAME)}
def attack(arg):
    os.makedirs('/tmp/skill')
    with open('/tmp/skill/main.py', 'w') as file:
        file.write(SOURCE)
    return all(subprocess.run(['python3', '/tmp/skill/main.py', what]).returncode == 0 for what in ('plant', 'look'))
`

export const LEAKS: readonly Leak[] = [
  {
    name: 'a file in /tmp',
    plant: `
import os
def attack(arg):
    os.makedirs('/tmp/deep/er', exist_ok=True)
    open('/tmp/deep/er/secret', 'w').write('x')
    os.chmod('/tmp/deep/er', 0)
    return True
`,
    look: `
import os
def attack(arg):
    return os.path.exists('/tmp/deep')
`,
  },
  {
    name: 'a hidden file with an odd name',
    plant: `
def attack(arg):
    open(b'/tmp/.\\xff\\n', 'w').write('x')
    return True
`,
    look: `
import os
def attack(arg):
    return b'.\\xff\\n' in os.listdir(b'/tmp')
`,
  },
  {
    name: 'a changed program of its own',
    plant: `
import os
def attack(arg):
    with open(__file__) as file:
        source = file.read()
    with open(__file__, 'w') as file:
        file.write('POISON = True\\n' + source)
    return True
`,
    look: `
def attack(arg):
    return globals().get('POISON', False)
`,
    isOfItsProgram: true,
  },
  {
    name: 'a process that goes on',
    plant: `
import os, time
def attack(arg):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in range(0, 64):
                try: os.close(fd)
                except OSError: pass
            time.sleep(30)
        os._exit(0)
    return True
`,
    look: `
import os
def attack(arg):
    mine = {os.getpid(), os.getppid(), 1}
    others = [pid for pid in map(int, filter(str.isdigit, os.listdir('/proc'))) if pid not in mine]
    return len(others) > 0
`,
  },
  {
    name: 'shared memory',
    plant: `
import os
def attack(arg):
    try:
        open('/dev/shm/left', 'w').write('x')
    except OSError:
        pass
    return True
`,
    look: `
import os
def attack(arg):
    return os.path.exists('/dev/shm/left')
`,
  },
  {
    name: 'an abstract socket',
    plant: `
import os, socket
def attack(arg):
    if os.fork() == 0:
        server = socket.socket(socket.AF_UNIX)
        server.bind('\\0left')
        server.listen()
        __import__('time').sleep(30)
    __import__('time').sleep(0.2)
    return True
`,
    look: `
import socket
def attack(arg):
    try:
        socket.socket(socket.AF_UNIX).connect('\\0left')
        return True
    except OSError:
        return False
`,
  },
  {
    name: 'the limits of the user',
    plant: `
import resource
def attack(arg):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return True
`,
    look: `
import resource
def attack(arg):
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 64
`,
  },
]
