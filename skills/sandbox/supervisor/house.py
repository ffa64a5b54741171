"""
The sandbox between two calls: ends what runs, empties the folder, and tells whether all is as it was. Counts what a call took and what the
kernel refused it.
"""
import os
import resource
import select
import selectors
import signal
import time

from wire import read

# Control groups of version 2 and 1.
COUNTERS = (
    ('memory.events', 'oom_kill'),
    ('memory/memory.oom_control', 'oom_kill'),
    ('pids.events', 'max'),
    ('pids/pids.events', 'max'),
)


class House:
    """`owner`: the process namespace and the folder are ours alone, so everything in them may go."""

    def __init__(self, eyes, work, owner, child):
        self.eyes, self.work, self.owner = eyes, work, owner
        self.child, self.cpu, self.rss = child, 0.0, 0
        self.wake, woken = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        # Whether a process may have ended since we looked.
        self.is_woken = True
        eyes.register(self.wake, selectors.EVENT_READ, self.woken)
        # Without a group of our own they would be those of the whole machine.
        self.counters = counters() if owner else []
        self.texts = None
        self.own, self.counted = self.standing(), self.count()

    def woken(self, _):
        read(self.wake)
        self.is_woken = True

    def kill(self, number):
        try:
            if self.owner:
                os.kill(-1, number)
            elif self.child is not None and self.child.status is None:
                os.killpg(self.child.pid, number)
        except ProcessLookupError:
            pass

    def reap(self):
        """False: there are no processes but us."""
        self.is_woken = False
        try:
            while True:
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return True
                self.cpu += used.ru_utime + used.ru_stime
                self.rss = max(self.rss, used.ru_maxrss)
                if self.child is not None and pid == self.child.pid:
                    self.child.status = status
        except ChildProcessError:
            return False

    def clean(self):
        """Ends all processes, empties the folder. True: nothing is left, and we ourselves are as we were."""
        if self.child is not None:
            for end in (self.child.out, self.child.err, self.child.answer, self.child.control):
                self.eyes.watch(end, 0, None)
        end = time.monotonic() + 2
        self.kill(signal.SIGKILL)
        while self.reap() and time.monotonic() < end:
            select.select([self.wake], [], [], 0.05)
            read(self.wake)
            self.kill(signal.SIGKILL)
        gone = not self.reap()
        if self.child is not None:
            self.child.close()
            self.child = None
        clean = wipe(self.work) and gone and self.standing() == self.own
        if self.owner:
            clean = clean and [pid for pid in os.listdir('/proc') if pid.isdigit()] == [str(os.getpid())]
        self.counted = self.count()
        return clean

    def standing(self):
        """What another process of our user could have changed of us."""
        limits = [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith('RLIMIT_')]
        return limits, os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)

    def count(self):
        """Of the sandbox's control groups: processes ended for want of memory, forks refused."""
        texts = [pread(file) for file, _ in self.counters]
        # Of calls that are over in a fraction of a millisecond to take them apart each time is a good part.
        if texts != self.texts:
            found = {'oom_kill': 0, 'max': 0}
            for text, (_, name) in zip(texts, self.counters):
                try:
                    found[name] += sum(int(line.split()[1]) for line in text.splitlines() if line.split()[0] == name.encode())
                except (ValueError, IndexError):
                    pass
            self.texts, self.last = texts, (found['oom_kill'], found['max'])
        return self.last


def pread(file):
    try:
        return os.pread(file, 4096, 0)
    except OSError:
        return b''


def counters():
    """Open files: they are read after each call."""
    found = []
    for path, name in COUNTERS:
        try:
            found.append((os.open('/sys/fs/cgroup/' + path, os.O_RDONLY), name))
        except OSError:
            pass
    return found


def wipe(folder):
    """Empties it, whatever modes and depths are in it. Folders are moved up first: no path gets long, nothing is walked."""

    def each(path):
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in os.scandir(path)]

    try:
        count = 0
        while True:
            entries = each(folder)
            if not entries:
                return True
            for name, is_folder in entries:
                path = os.path.join(folder, name)
                if not is_folder:
                    os.unlink(path)
                    continue
                os.chmod(path, 0o700)
                for inner, is_inner in each(path):
                    if not is_inner:
                        os.unlink(os.path.join(path, inner))
                        continue
                    os.chmod(os.path.join(path, inner), 0o700)
                    count += 1
                    while os.path.lexists(os.path.join(folder, '.%d' % count)):
                        count += 1
                    os.rename(os.path.join(path, inner), os.path.join(folder, '.%d' % count))
                os.rmdir(path)
    except OSError:
        return False
