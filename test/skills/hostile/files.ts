/** Attacks on the file system, on devices and on what the kernel shows of the host. */
import type { Attack } from './attack.ts'
import { SYSCALLS } from './attack.ts'

/** Tries to write to each path; true if one takes it. */
const writes = (paths: string): string => `
def attack(arg):
    for path in ${paths}:
        try:
            with open(path, 'r+b', buffering=0) as file:
                file.write(b'')
            return True
        except OSError:
            continue
    return False
`

export const FILES: readonly Attack[] = [
  {
    name: 'writes wherever it can',
    code: `
import os
def attack(arg):
    taken = []
    for place in ['/', '/bin', '/boot', '/dev', '/etc', '/home', '/lib', '/opt', '/opt/openclaw', '/root', '/run', '/sbin', '/srv', '/sys', '/usr', '/usr/bin', '/var', '/var/tmp', '/var/lib', '/proc', '/proc/sys', '/mnt', '/media']:
        path = os.path.join(place, 'openclaw-was-here')
        try:
            open(path, 'w').close()
            os.unlink(path)
            taken.append(place)
        except OSError:
            continue
    return len(taken) > 0
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'runs a program that it wrote to /tmp',
    code: `
import os, subprocess, shutil
def attack(arg):
    shutil.copy('/bin/true', '/tmp/program')
    os.chmod('/tmp/program', 0o755)
    try:
        return subprocess.run(['/tmp/program']).returncode == 0
    except OSError:
        return False
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'mounts',
    code: `
import ctypes, os
def attack(arg):
    os.makedirs('/tmp/m', exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.mount(b'none', b'/tmp/m', b'tmpfs', 0, None) == 0
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'takes the masks off /proc by unmounting',
    code: `
import ctypes
def attack(arg):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount(b'none', b'/mnt', b'tmpfs', 0, None)
    return libc.umount2(b'/mnt', 2) == 0
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'makes new namespaces',
    code: `
import ctypes
def attack(arg):
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(flag) == 0 for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000, 0x04000000))
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'makes new namespaces by clone',
    code: `${SYSCALLS}
def attack(arg):
    child, error = call(56, 220, 0x10000000 | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    if child > 0:
        os.waitpid(child, 0)
    return child > 0
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'enters the namespaces of its supervisor',
    code: `
import ctypes, os
def attack(arg):
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open('/proc/1/ns/mnt', os.O_RDONLY)
    return libc.setns(fd, 0) == 0
`,
    held: ['nothing', 'crashed'],
    control: 'worked',
  },
  {
    name: 'makes a device',
    code: `
import os, stat
def attack(arg):
    try:
        os.mknod('/tmp/disk', 0o600 | stat.S_IFBLK, os.makedev(254, 0))
        return True
    except OSError:
        return False
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'writes to the kernel by its devices',
    code: writes("['/dev/mem', '/dev/kmsg', '/dev/port', '/dev/sda', '/dev/vda', '/dev/loop0']"),
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'turns the kernel by /proc',
    code: writes("['/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/vm/panic_on_oom']"),
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'turns the kernel by /sys',
    code: writes("['/sys/kernel/uevent_helper', '/sys/power/state', '/sys/kernel/mm/ksm/run', '/sys/class/net/lo/mtu']"),
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'changes its own limits by the control groups',
    code: `
import glob
def attack(arg):
    for path in glob.glob('/sys/fs/cgroup/**/memory.limit_in_bytes', recursive=True) + glob.glob('/sys/fs/cgroup/**/pids.max', recursive=True) + glob.glob('/sys/fs/cgroup/**/memory.max', recursive=True):
        try:
            open(path, 'r+').close()
            return True
        except OSError:
            continue
    return False
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'becomes root',
    code: `
import os
def attack(arg):
    try:
        os.setuid(0)
    except OSError:
        return False
    return os.geteuid() == 0
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'finds a program that makes it root',
    code: `
import os, stat
def attack(arg):
    try:
        with open('/tmp/suid', 'w'): pass
        os.chown('/tmp/suid', 0, 0); os.chmod('/tmp/suid', 0o4755)
        if os.stat('/tmp/suid').st_uid == 0 and os.stat('/tmp/suid').st_mode & stat.S_ISUID: return True
    except OSError:
        pass
    for place in ('/usr', '/bin', '/sbin', '/opt'):
        for folder, _, names in os.walk(place):
            for name in names:
                try:
                    if os.lstat(os.path.join(folder, name)).st_mode & (stat.S_ISUID | stat.S_ISGID): return True
                except OSError:
                    continue
    return False
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'leaves its root',
    code: `
import os
def attack(arg):
    try:
        os.chroot('/tmp')
        return True
    except OSError:
        return False
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'opens files by handle, past its root',
    code: `${SYSCALLS}
def attack(arg):
    handle = ctypes.create_string_buffer(144)
    ctypes.memmove(handle, ctypes.byref(ctypes.c_uint(128)), 4)
    mount = ctypes.c_int()
    made, error = call(303, 264, -100, b'/etc/hostname', handle, ctypes.byref(mount), 0)
    directory = os.open('/etc', os.O_RDONLY)
    opened, error = call(304, 265, directory, handle, os.O_RDONLY)
    return opened >= 0 or error not in (1, 38)
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: "finds the engine's socket",
    code: writes("['/var/run/docker.sock', '/run/docker.sock', '/run/podman/podman.sock', '/tmp/control.sock']").replace(
      'def attack',
      "import socket\nif __import__('os').geteuid() == 0:\n    __import__('os').path.exists('/tmp/control.sock') or open('/tmp/control.sock', 'w').close()\ndef attack",
    ),
    held: ['nothing'],
    control: 'worked',
  },
]
