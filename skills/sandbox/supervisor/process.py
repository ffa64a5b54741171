"""One process and its pipes: how it is started with nothing of ours in its hands. Who starts it, when, and what it says is for others."""
import fcntl
import os
import resource
import sys

from frame import HEADER

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_DUMPABLE = 4
libc = None


def hide():
    """What we hold in memory is not for other processes of our user (prctl(2), proc(5))."""
    global libc
    # Here and below: what takes long to load is loaded when a first process is on its way.
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def plain(work):
    """The environment of a process that has no way out."""
    path = os.environ.get('PATH', '/usr/local/bin:/usr/bin:/bin')
    return {'PATH': path, 'HOME': work, 'TMPDIR': work, 'LANG': 'C.UTF-8'}


def waiting(language, env, work):
    """A process that waits on descriptor 4 for its call."""
    if language == 'python':
        command = [sys.executable, '-I', '-S', '-B', HERE + '/child.py']
    else:
        command = ['node', '--disable-proto=delete', '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', HERE + '/child.mjs']
    return Child(command, env, work)


class Child:
    """A process and its four pipes: 1 and 2 are told as logs, 3 is what it answers by, 4 is what it is told by."""

    def __init__(self, command, env, cwd, stdin=None, limits=()):
        outs = [os.pipe() for _ in range(3)]
        control = os.pipe()
        inner = [stdin if stdin is not None else os.open('/dev/null', os.O_RDONLY), *[end for _, end in outs], control[0]]
        self.pid = os.fork()
        if self.pid == 0:
            self.become(inner, command, env, cwd, limits)
        for end in inner:
            os.close(end)
        self.out, self.err, self.answer = (end for end, _ in outs)
        self.control = control[1]
        for end in (self.out, self.err, self.answer, self.control):
            os.set_blocking(end, False)
        self.status, self.closed_at, self.queue, self.heard = None, None, bytearray(), bytearray()
        # Whether it was given a call, and what it said between two.
        self.is_used, self.stray = False, 0

    def become(self, inner, command, env, cwd, limits):
        try:
            import signal

            os.setsid()
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            if libc is not None:
                libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # Otherwise the next line may not be written. Nothing of a skill runs now.
            with open('/proc/self/oom_score_adj', 'w') as file:
                file.write('1000')
            for at, end in enumerate([fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in inner]):
                os.dup2(end, at)
            os.closerange(5, 256)
            os.chdir(cwd)
            for what, most in limits:
                resource.setrlimit(what, (most, most))
            os.execvpe(command[0], command, env)
        except BaseException as error:
            os.write(2, ('cannot start %s: %s\n' % (command[0], error)).encode())
        finally:
            os._exit(127)

    def send(self, kind, payload):
        self.queue += HEADER.pack(len(payload), kind, 0) + payload

    def close(self):
        for end in (self.out, self.err, self.answer, self.control):
            if end is not None:
                os.close(end)
        self.out = self.err = self.answer = self.control = None
