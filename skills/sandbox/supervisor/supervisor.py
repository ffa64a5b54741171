"""
Runs skills inside a sandbox: PID 1 there, one call at a time. Talks with the gateway over its standard input and output in the frames of
`skills/sandbox/frame.ts`, starts a process of its own for each call, bounds it, and leaves nothing of it behind. One thread; Python >= 3.9
without packages. Makes no sandbox: namespaces, limits of the whole and the filter of system calls are given by whoever starts it.

supervisor.py --language python|node|shell [--work DIR] [--egress SOCKET] [--owner]
  --owner: the process namespace and DIR are ours alone. Without it (tests of the wire) only the call's own process group is ended.
"""
import base64
import ctypes
import json
import os
import re
import resource
import select
import selectors
import signal
import socket
import struct
import sys
import time

PROTOCOL = 1
GREETING, MARK_BYTES, HEADER = b'\0openclaw\0skill\0', 16, struct.Struct('>IBI')
HELLO, LOAD, INVOKE, CANCEL, RETURNED, ACK, PING, BYE = range(1, 9)
READY, LOADED, PROGRESS, LOG, RESULT, ERROR, IDLE, CALL, PONG = range(65, 74)
SMALL, MEGA = 65_536, 1_048_576
BOUNDS = {LOAD: 8 * MEGA, INVOKE: MEGA + SMALL, RETURNED: MEGA + SMALL, CALL: MEGA + SMALL, RESULT: MEGA, PROGRESS: 16_384}
LOG_PIECE, LOG_KEPT, FLOOD = 8_192, 65_536, 8 * MEGA
MAX_CALLS, MAX_LINKS, LINK_BYTES = 16, 64, 262_144
CANCEL_S, SILENCE_S, PROGRESS_S = 0.5, 600, 0.1
# What a skill may say of itself; all else it says is `crashed`, so that nothing it forges is tried again elsewhere.
OF_ITSELF = ('crashed', 'invalid_output', 'output_limit', 'oom')
HERE = os.path.dirname(os.path.abspath(__file__))
PROXY = 'http://127.0.0.1:3128'

libc = ctypes.CDLL(None)


def dumps(value):
    return json.dumps(value, separators=(',', ':')).encode()


def not_json(name):
    raise ValueError(name + ' is not JSON')


class Breach(Exception):
    """A skill broke the rules of talking with us."""


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
        self.status, self.queue, self.heard, self.digest, self.closed_at = None, bytearray(), bytearray(), None, None

    def become(self, inner, command, env, cwd, limits):
        try:
            os.setsid()
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            libc.prctl(4, 1, 0, 0, 0)  # Otherwise the next line may not be written. Nothing of a skill runs now.
            with open('/proc/self/oom_score_adj', 'w') as file:
                file.write('1000')
            high = [os.dup(end) for end in inner]
            for at in range(5):
                if at in high:
                    raise OSError('too few descriptors')
                os.dup2(high[at], at)
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


class Run:
    """One call: what it may still say, and what it cost."""

    def __init__(self, number, asked):
        self.number, self.key, self.resident = number, asked['key'], asked.get('resident') is True
        self.timeout_ms = asked['timeout_ms']
        self.deadline = time.monotonic() + self.timeout_ms / 1000
        self.kill_at = self.progress = None
        self.progress_at, self.flood, self.tail, self.calls, self.asked = 0.0, 0, b'', {}, 0
        self.left, self.dropped = {1: LOG_KEPT, 2: LOG_KEPT, 3: LOG_KEPT}, {1: 0, 2: 0, 3: 0}


class Supervisor:
    def __init__(self, language, work, egress, owner):
        self.language, self.work, self.owner = language, work, owner
        self.inbox, self.outbox, self.greeted, self.scanned = bytearray(), bytearray(), False, 0
        self.loaded = self.run = self.child = self.held = self.idle = None
        self.number, self.heard_at, self.cpu, self.rss, self.links = 0, time.monotonic(), 0.0, 0, None
        self.select = selectors.DefaultSelector()
        # Ours alone: on the descriptors that programs write to by habit nothing is heard.
        self.input, self.output = os.dup(0), os.dup(1)
        null = os.open('/dev/null', os.O_RDWR)
        os.dup2(null, 0, inheritable=True)
        os.dup2(null, 1, inheritable=True)
        os.close(null)
        wake, woken = os.pipe()
        for end in (self.input, self.output, wake, woken):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        self.wake = wake
        self.select.register(self.input, selectors.EVENT_READ, self.take)
        self.select.register(wake, selectors.EVENT_READ, lambda _: self.read(wake))
        if egress is not None:
            self.links = Links(self.select, egress)
        self.park()
        self.own, self.counted = self.standing(), self.count()

    # The wire to the gateway.

    def say(self, kind, number, payload):
        self.outbox += HEADER.pack(len(payload), kind, number) + payload
        self.flush()

    def flush(self, _=None):
        try:
            while self.outbox:
                del self.outbox[: os.write(self.output, self.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            os._exit(0)
        self.watch(self.output, selectors.EVENT_WRITE if self.outbox else 0, self.flush)

    def watch(self, end, events, then):
        known = self.select.get_map().get(end)
        if known is None:
            if events:
                self.select.register(end, events, then)
        elif not events:
            self.select.unregister(end)
        elif known.events != events:
            self.select.modify(end, events, then)

    def read(self, end, most=SMALL):
        """None: nothing now; empty: no more ever."""
        try:
            return os.read(end, most)
        except BlockingIOError:
            return None
        except OSError:
            return b''

    def take(self, _):
        data = self.read(self.input, MEGA)
        if data == b'':
            os._exit(0)
        self.inbox += data or b''
        at = self.inbox.rfind(GREETING, max(0, self.scanned - len(GREETING)))
        if at >= 0:
            del self.inbox[: at + len(GREETING)]
            self.greeted = True
        while self.greeted and len(self.inbox) >= HEADER.size:
            size, kind, number = HEADER.unpack_from(self.inbox)
            if kind > BYE or size > BOUNDS.get(kind, SMALL):
                sys.exit('a frame of type %d with %d bytes is not for us' % (kind, size))
            if len(self.inbox) < HEADER.size + size:
                break
            payload = bytes(self.inbox[HEADER.size : HEADER.size + size])
            del self.inbox[: HEADER.size + size]
            self.obey(kind, number, payload)
        if not self.greeted:
            del self.inbox[: -len(GREETING)]
        self.scanned = len(self.inbox)

    def obey(self, kind, number, payload):
        self.heard_at = time.monotonic()
        asked = json.loads(payload) if payload else {}
        if kind == HELLO:
            self.hello(bytes.fromhex(asked['mark']))
        elif kind == LOAD:
            self.load(asked)
        elif kind == INVOKE:
            self.invoke(number, asked)
        elif kind == CANCEL and self.run and number == self.run.number and self.run.kill_at is None:
            self.run.kill_at = time.monotonic() + CANCEL_S
            self.kill(signal.SIGTERM)
        elif kind == RETURNED and self.run and self.run.calls.pop(asked['n'], None) is not None:
            self.child.send(RETURNED, payload)
            self.feed()
        elif kind == ACK and self.held and number == self.held[1]:
            self.held = None
        elif kind == PING:
            self.say(PONG, 0, b'')
        elif kind == BYE:
            os._exit(0)

    def hello(self, mark):
        self.outbox.clear()
        self.outbox += mark[:MARK_BYTES]
        state = 'busy' if self.run else 'held' if self.held else 'idle'
        key = self.run.key if self.run else self.held[3] if self.held else None
        loaded = self.loaded['digest'] if self.loaded else None
        self.say(READY, self.number, dumps({'protocol': PROTOCOL, 'state': state, 'key': key, 'loaded': loaded}))
        if self.run:
            for call in self.run.calls.values():
                self.say(CALL, self.number, call)
        elif self.held:
            self.say(*self.held[:3])
            self.say(IDLE, self.number, self.idle)

    def load(self, asked):
        self.end_child()
        self.loaded = None
        try:
            files = {path: base64.b64decode(content, validate=True) for path, content in asked['files'].items()}
            if any(not path or path[0] == '/' or '..' in path.split('/') or '\0' in path for path in files):
                raise ValueError('a path leads out of the bundle')
            if asked['language'] != self.language:
                raise ValueError('this sandbox is for %s' % self.language)
            if asked['entrypoint'] not in files:
                raise ValueError('there is no file %s' % asked['entrypoint'])
            if asked.get('egress') and (self.links is None or self.links.path != asked['egress']):
                if self.links is not None:
                    raise ValueError('its way out is another one')
                self.links = Links(self.select, asked['egress'])
                self.end_child(parked=True)
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            return self.say(LOADED, 0, dumps({'error': str(error)[:500]}))
        self.loaded = {**asked, 'files': files}
        self.say(LOADED, 0, dumps({'digest': asked['digest']}))
        self.park()

    # Processes.

    def env(self):
        env = {'PATH': '/usr/local/bin:/usr/bin:/bin', 'HOME': self.work, 'TMPDIR': self.work, 'LANG': 'C.UTF-8'}
        if self.links is not None:
            env.update({name: PROXY for name in ('HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy')}, NODE_USE_ENV_PROXY='1')
        return env

    def park(self):
        """The next call's process, started ahead: it waits on descriptor 4. Of a shell there is nothing to start."""
        if self.child is not None or self.language == 'shell':
            return
        if self.language == 'python':
            command = [sys.executable, '-I', '-S', '-B', os.path.join(HERE, 'child.py')]
        else:
            quiet = '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON'
            command = ['node', '--disable-proto=delete', quiet, os.path.join(HERE, 'child.mjs')]
        self.child = Child(command, self.env(), self.work)

    def end_child(self, parked=False):
        """One that stayed from call to call, or (parked) one that never had any."""
        if self.child is not None and (parked or self.child.digest is not None) and not self.run:
            self.clean()

    def invoke(self, number, asked):
        if self.run or number <= self.number:
            sys.exit('a call in the middle of another')
        self.number, self.held = number, None
        self.run = run = Run(number, asked)
        self.cpu, self.rss = 0.0, 0
        if self.loaded is None:
            return self.fail('protocol', 'nothing is loaded')
        if not run.resident and self.child is not None and self.child.digest is not None:
            self.clean()
        try:
            if self.child is None or self.child.digest is None:
                self.unpack()
            message = {name: asked.get(name) for name in ('key', 'input', 'secrets', 'traceparent', 'resident')}
            if self.language == 'shell':
                self.child = self.shell(message)
            else:
                self.park()
                for what, most in self.limits():
                    resource.prlimit(self.child.pid, what, (most, most))
                message.update(folder=self.work + '/skill', entrypoint=self.loaded['entrypoint'], deps=self.loaded.get('deps'))
                self.child.send(INVOKE, dumps(message))
            self.child.digest = self.loaded['digest']
        except OSError as error:
            return self.fail('crashed', 'its files could not be laid out: %s' % error)
        child = self.child
        self.watch(child.out, selectors.EVENT_READ, lambda _: self.listen(child, 1, child.out))
        self.watch(child.err, selectors.EVENT_READ, lambda _: self.listen(child, 2, child.err))
        self.watch(child.answer, selectors.EVENT_READ, lambda _: self.hear(child))
        self.feed()

    def unpack(self):
        """Written anew for each process, so that none can change what the next one runs."""
        for path, content in self.loaded['files'].items():
            full = os.path.join(self.work, 'skill', path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, 'xb') as file:
                file.write(content)
        if self.loaded.get('deps') and self.language == 'node' and not os.path.lexists(self.work + '/skill/node_modules'):
            os.symlink(self.loaded['deps'] + '/node_modules', self.work + '/skill/node_modules')

    def shell(self, message):
        secrets = {re.sub(r'\W', '_', name, flags=re.A): value for name, value in (message['secrets'] or {}).items()}
        env = {**secrets, 'OPENCLAW_KEY': message['key'], **self.env()}
        if message['traceparent']:
            env['TRACEPARENT'] = message['traceparent']
        # A file without a name: it takes any input at once, whether or not it is read.
        stdin = os.memfd_create('input')
        os.write(stdin, dumps(message['input']))
        os.lseek(stdin, 0, os.SEEK_SET)
        script = os.path.join(self.work, 'skill', self.loaded['entrypoint'])
        return Child(['/bin/sh', script], env, self.work + '/skill', stdin, self.limits())

    def limits(self):
        given = self.loaded.get('limits')
        if not given:
            return ()
        memory = (resource.RLIMIT_DATA, given['memory_mb'] * MEGA)
        return memory, (resource.RLIMIT_NPROC, given['pids'] + 2), (resource.RLIMIT_FSIZE, given['tmp_mb'] * MEGA)

    def feed(self, _=None):
        child = self.child
        if child is None or child.control is None:
            return
        try:
            while child.queue:
                del child.queue[: os.write(child.control, child.queue)]
        except BlockingIOError:
            pass
        except OSError:
            child.queue.clear()
        self.watch(child.control, selectors.EVENT_WRITE if child.queue else 0, self.feed)

    # What a process says.

    def listen(self, child, stream, end, most=1):
        for _ in range(most):
            data = self.read(end)
            if not data:
                if data == b'':
                    self.watch(end, 0, None)
                return
            self.run.flood += len(data)
            if stream == 2:
                self.run.tail = (self.run.tail + data)[-2_000:]
            self.log(stream, data)
            if self.run.flood > FLOOD:
                return self.fail('output_limit', 'it wrote more than %d bytes of logs and progress' % FLOOD)

    def log(self, stream, data):
        run = self.run
        kept, run.dropped[stream] = data[: run.left[stream]], run.dropped[stream] + max(0, len(data) - run.left[stream])
        run.left[stream] -= len(kept)
        for at in range(0, len(kept), LOG_PIECE):
            self.say(LOG, run.number, bytes([stream]) + kept[at : at + LOG_PIECE])

    def hear(self, child):
        """True: there may be more."""
        data = self.read(child.answer)
        if data == b'':
            self.watch(child.answer, 0, None)
            child.closed_at = child.closed_at or time.monotonic()
        if not data:
            return False
        child.heard += data
        if self.language != 'shell':
            try:
                self.answers(child)
            except Breach as breach:
                self.fail('protocol', str(breach))
        elif len(child.heard) > MEGA:
            self.fail('output_limit', 'its output has more than %d bytes' % MEGA)
        return self.run is not None

    def answers(self, child):
        while self.run and len(child.heard) >= HEADER.size:
            size, kind, _ = HEADER.unpack_from(child.heard)
            if kind == RESULT and size > MEGA:
                return self.fail('output_limit', 'its output has %d bytes; at most %d are allowed' % (size, MEGA))
            if kind not in (PROGRESS, LOG, RESULT, ERROR, CALL) or size > BOUNDS.get(kind, SMALL):
                raise Breach('it wrote to descriptor 3, which is for its supervisor')
            if len(child.heard) < HEADER.size + size:
                return
            payload = bytes(child.heard[HEADER.size : HEADER.size + size])
            del child.heard[: HEADER.size + size]
            self.answered(kind, payload)

    def answered(self, kind, payload):
        run = self.run
        if kind == RESULT:
            return self.finish(RESULT, payload, stays=True)
        if kind == LOG:
            self.log(3, payload)
        elif kind == PROGRESS:
            run.progress = payload
            self.report()
        else:
            try:
                said = json.loads(payload, parse_constant=not_json)
                if kind == ERROR:
                    code = said['code'] if said['code'] in OF_ITSELF else 'crashed'
                    return self.fail(*self.cause(code, str(said['message'])[:2_000]), stays=True)
                if said['n'] != run.asked + 1 or len(run.calls) >= MAX_CALLS or not isinstance(said['skill'], str):
                    raise ValueError('its calls are out of order, or too many at once')
                run.asked += 1
                run.calls[said['n']] = payload
                self.say(CALL, run.number, payload)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise Breach('it wrote to descriptor 3, which is for its supervisor: %s' % str(error)[:200])
        run.flood += len(payload)
        if run.flood > FLOOD and self.run:
            self.fail('output_limit', 'it wrote more than %d bytes of logs and progress' % FLOOD)

    def report(self, last=False):
        run, now = self.run, time.monotonic()
        if run.progress is not None and (last or now >= run.progress_at) and len(self.outbox) < LINK_BYTES:
            run.progress_at = now + PROGRESS_S
            payload, run.progress = run.progress, None
            self.say(PROGRESS, run.number, payload)

    # Ends.

    def died(self):
        child = self.child
        while self.hear(child):
            pass
        if self.run:
            self.drain()
        if not self.run:
            return
        code = os.WEXITSTATUS(child.status) if os.WIFEXITED(child.status) else None
        if self.language == 'shell' and code == 0:
            return self.judge(child)
        if code is None:
            how = 'its process was ended by %s' % signal.Signals(os.WTERMSIG(child.status)).name
        else:
            how = 'its process ended with exit code %d' % code
        lines = [line.strip() for line in self.run.tail.decode('utf-8', 'replace').splitlines() if line.strip()]
        heap = code is None and b'heap out of memory' in self.run.tail
        self.fail(*self.cause('oom' if heap else 'crashed', ': '.join([how, *lines[-1:]])[:500]))

    def judge(self, child):
        """What a shell script wrote to descriptor 3."""
        try:
            json.loads(child.heard.decode('utf-8'), parse_constant=not_json)
        except (ValueError, RecursionError):
            what = 'something that is not JSON' if child.heard.strip() else 'nothing'
            return self.fail('invalid_output', 'it wrote %s to file descriptor 3; its output belongs there, as JSON' % what)
        self.finish(RESULT, bytes(child.heard).strip())

    def cause(self, code, message):
        """What the kernel says it died of, where that says more than it says itself."""
        oom, pids = (now - before for now, before in zip(self.count(), self.counted))
        if oom > 0:
            return 'oom', 'it needed more memory than it may have'
        by_limit = self.loaded and self.loaded.get('limits') and re.search(r"temporarily unavailable|can't start new thread|EAGAIN", message)
        if code == 'crashed' and (pids > 0 or by_limit):
            return 'pids_exhausted', 'it started more processes and threads than it may have; ' + message
        return code, message

    def fail(self, code, message, stays=False):
        run = self.run
        if run.kill_at is not None and code != 'protocol':
            code, message, stays = 'cancelled', 'it was stopped', False
        self.finish(ERROR, dumps({'code': code, 'message': message}), stays)

    def drain(self):
        for stream, end in ((1, self.child.out), (2, self.child.err)):
            if self.run:
                self.listen(self.child, stream, end, most=16)

    def finish(self, kind, payload, stays=False):
        run, child = self.run, self.child
        flooded = run.flood > FLOOD
        if child is not None and child.out is not None and not flooded:
            self.drain()
            if self.run is None:
                return
        self.report(last=True)
        for stream, lost in run.dropped.items():
            if lost:
                name = {1: 'stdout', 2: 'stderr', 3: 'ctx.log'}[stream]
                self.say(LOG, run.number, b'\x03' + ('[%d more bytes of %s were dropped]\n' % (lost, name)).encode())
        self.run, self.held = None, (kind, run.number, payload, run.key)
        self.say(*self.held[:3])
        stays = stays and run.resident and run.kill_at is None and child is not None and self.language != 'shell'
        clean = True if stays else self.clean()
        self.idle = dumps({'clean': clean, 'cpu_ms': round(self.cpu * 1000), 'max_rss_kb': self.rss})
        self.say(IDLE, run.number, self.idle)
        if clean:
            self.park()

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
        if self.links is not None:
            self.links.cut()
        if self.child is not None:
            for end in (self.child.out, self.child.err, self.child.answer, self.child.control):
                self.watch(end, 0, None)
        end = time.monotonic() + 2
        self.kill(signal.SIGKILL)
        while self.reap() and time.monotonic() < end:
            select.select([self.wake], [], [], 0.05)
            self.read(self.wake)
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
        """Of the sandbox's control groups (v1 or v2): processes ended for want of memory, forks refused."""
        found = {'oom_kill': 0, 'max': 0}
        if self.owner:
            for path, name in (('memory.events', 'oom_kill'), ('memory/memory.oom_control', 'oom_kill'), ('pids.events', 'max'), ('pids/pids.events', 'max')):
                try:
                    with open('/sys/fs/cgroup/' + path, 'rb') as file:
                        found[name] += sum(int(line.split()[1]) for line in file if line.split()[0] == name.encode())
                except (OSError, ValueError, IndexError):
                    pass
        return found['oom_kill'], found['max']

    def due(self):
        """Ends what is over. When to look again."""
        run, child, now = self.run, self.child, time.monotonic()
        if run is None:
            if child is not None and child.status is not None:
                self.clean()
            if now >= self.heard_at + SILENCE_S:
                os._exit(0)
            return self.heard_at + SILENCE_S
        if child.status is not None:
            self.died()
        elif run.kill_at is not None and now >= run.kill_at:
            self.fail('cancelled', 'it was stopped')
        elif now >= run.deadline:
            self.fail('timeout', 'it took longer than %d ms' % run.timeout_ms)
        elif self.language != 'shell' and child.closed_at and now >= child.closed_at + 0.2:
            self.fail('protocol', 'it closed descriptor 3, which is for its supervisor')
        else:
            self.report()
            times = [run.deadline, run.kill_at, run.progress is not None and run.progress_at, child.closed_at and child.closed_at + 0.2]
            return min(at for at in times if at)
        return now

    def go(self):
        while True:
            self.reap()
            until = self.due()
            for key, events in self.select.select(max(0.0, until - time.monotonic())):
                # What came before it may have ended this one.
                if self.select.get_map().get(key.fd) is key:
                    key.data(events)


class Links:
    """127.0.0.1:3128, and from there to the proxy's socket: the only way out, for programs that know how to use a proxy."""

    def __init__(self, select, path):
        self.select, self.path, self.peers, self.waiting, self.ended = select, path, {}, {}, set()
        self.door = socket.create_server(('127.0.0.1', 3128), backlog=MAX_LINKS)
        self.door.setblocking(False)
        select.register(self.door, selectors.EVENT_READ, self.open)

    def open(self, _):
        try:
            client, _ = self.door.accept()
        except OSError:
            return
        proxy = socket.socket(socket.AF_UNIX)
        try:
            if len(self.peers) >= 2 * MAX_LINKS:
                raise OSError('too many')
            proxy.setblocking(False)
            client.setblocking(False)
            proxy.connect(self.path)
        except OSError:
            client.close()
            return proxy.close()
        for one, other in ((client, proxy), (proxy, client)):
            self.peers[one], self.waiting[one] = other, bytearray()
            self.select.register(one, selectors.EVENT_READ, lambda events, one=one: self.move(one, events))

    def move(self, one, events):
        other = self.peers[one]
        try:
            if events & selectors.EVENT_READ and len(self.waiting[other]) < LINK_BYTES:
                data = one.recv(SMALL)
                self.waiting[other] += data
                if not data:
                    self.ended.add(one)
            for end in (one, other):
                if self.waiting[end]:
                    del self.waiting[end][: self.put(end)]
                if not self.waiting[end] and self.peers[end] in self.ended:
                    end.shutdown(socket.SHUT_WR)
            if one in self.ended and other in self.ended and not self.waiting[one] and not self.waiting[other]:
                return self.close(one)
            self.attend(one)
            self.attend(other)
        except OSError:
            self.close(one)

    def put(self, end):
        try:
            return end.send(self.waiting[end])
        except BlockingIOError:
            return 0

    def attend(self, end):
        wanted = selectors.EVENT_WRITE if self.waiting[end] else 0
        if end not in self.ended and len(self.waiting[self.peers[end]]) < LINK_BYTES:
            wanted |= selectors.EVENT_READ
        known = self.select.get_map().get(end)
        if known is not None and known.events == wanted:
            return
        if known is not None:
            self.select.unregister(end)
        if wanted:
            self.select.register(end, wanted, lambda events: self.move(end, events))

    def close(self, one):
        for end in (one, self.peers.get(one)):
            if end is not None and self.peers.pop(end, None) is not None:
                if self.select.get_map().get(end) is not None:
                    self.select.unregister(end)
                self.waiting.pop(end)
                self.ended.discard(end)
                end.close()

    def cut(self):
        for end in list(self.peers):
            self.close(end)


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


def main(args):
    given = dict(zip(args, args[1:]))
    libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: what we hold in memory is not for processes of the same user.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    os.umask(0o077)
    Supervisor(given['--language'], given.get('--work', '/tmp'), given.get('--egress'), '--owner' in args).go()


if __name__ == '__main__':
    main(sys.argv[1:])
