"""
The supervisor at work: does what the gateway asks for, one call at a time. Starts a process of its own for each call, bounds it, and leaves
nothing of it behind. One thread. What a call says and how it ends is `call.py`'s, what is left after it `house.py`'s.
"""
import base64
import json
import os
import re
import resource
import selectors
import sys
import time

from call import FLOOD, Call
from frame import ACK, BYE, CALL, CANCEL, HELLO, IDLE, INVOKE, LOAD, LOADED, MEGA, PING, PONG, READY, RETURNED
from house import House
from process import Child, plain, waiting
from wire import Eyes, Wire, dumps, read

PROTOCOL, SILENCE_S = 1, 600
# What an interpreter takes of its limit and never touches: V8 alone half a gigabyte of heap and stacks to come.
RESERVED_MB = {'python': 32, 'node': 640, 'shell': 32}


class Keeper:
    """`child`: a process that waits already; None: there is none."""

    def __init__(self, language, work, egress, owner, child):
        self.language, self.work = language, work
        self.loaded = self.call = self.held = self.idle = None
        self.number, self.heard_at = 0, time.monotonic()
        self.eyes = Eyes()
        self.house = House(self.eyes, work, owner, child)
        self.links = lead(self.eyes, egress) if egress is not None else None
        self.wire = Wire(self.eyes, self.obey)
        self.park()

    def go(self):
        while True:
            if self.house.is_woken:
                self.house.reap()
            if self.call is not None:
                until = self.call.due()
            else:
                until = self.heard_at + SILENCE_S
                if self.house.child is not None and self.house.child.status is not None:
                    self.clean()
                if time.monotonic() >= until:
                    sys.exit()
            self.eyes.look(until - time.monotonic())

    # What the gateway asks for.

    def obey(self, kind, number, payload):
        self.heard_at = time.monotonic()
        asked = json.loads(payload) if payload else {}
        is_running = self.call is not None and number == self.call.number
        if kind == HELLO:
            self.hello(bytes.fromhex(asked['mark']))
        elif kind == LOAD:
            self.load(asked)
        elif kind == INVOKE:
            self.invoke(number, asked)
        elif kind == CANCEL and is_running:
            self.call.cancel()
        elif kind == RETURNED and is_running and self.call.returned(asked['n']):
            self.house.child.send(RETURNED, payload)
            self.feed()
        elif kind == ACK and self.held is not None and number == self.number:
            self.held = None
        elif kind == PING:
            self.wire.say(PONG, 0, b'')
        elif kind == BYE:
            sys.exit()

    def hello(self, mark):
        self.wire.begin(mark)
        state, key = ('busy', self.call.key) if self.call is not None else ('held', self.held[0]) if self.held is not None else ('idle', None)
        loaded = self.loaded['digest'] if self.loaded is not None else None
        self.wire.say(READY, self.number, dumps({'protocol': PROTOCOL, 'state': state, 'key': key, 'loaded': loaded}))
        if self.call is not None:
            for payload in self.call.open.values():
                self.wire.say(CALL, self.number, payload)
        elif self.held is not None:
            _, kind, payload = self.held
            self.wire.say(kind, self.number, payload)
            self.wire.say(IDLE, self.number, self.idle)

    def load(self, asked):
        if self.call is not None:
            sys.exit('a bundle in the middle of a call')
        self.loaded = None
        if self.house.child is not None and self.house.child.is_used:
            self.clean()
        try:
            files = {path: base64.b64decode(content, validate=True) for path, content in asked['files'].items()}
            if any(not path or path[0] == '/' or '..' in path.split('/') or '\0' in path for path in files):
                raise ValueError('a path leads out of the bundle')
            if asked['language'] != self.language:
                raise ValueError('this sandbox is for %s' % self.language)
            if asked['entrypoint'] not in files:
                raise ValueError('there is no file %s' % asked['entrypoint'])
            self.lead_out(asked.get('egress'), asked.pop('egress_token', None))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            self.wire.say(LOADED, 0, dumps({'error': str(error)[:500]}))
        else:
            self.loaded = {**asked, 'files': files}
            self.wire.say(LOADED, 0, dumps({'digest': asked['digest']}))
        self.park()

    def lead_out(self, path, token):
        if path is None:
            return
        if self.links is not None and self.links.path != path:
            raise ValueError('its way out is another one')
        if self.links is None:
            self.links = lead(self.eyes, path)
            # The one that waits was started without knowing of it.
            self.clean()
        self.links.token = token.encode()

    # Processes.

    def env(self):
        env = plain(self.work)
        if self.links is not None:
            env.update(dict.fromkeys(('HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'), self.links.proxy), NODE_USE_ENV_PROXY='1')
        return env

    def park(self):
        """The next call's process, started ahead: it waits on descriptor 4. Of a shell there is nothing to start."""
        if self.house.child is not None or self.language == 'shell':
            return
        self.house.child = waiting(self.language, self.env(), self.work)

    def invoke(self, number, asked):
        if self.call is not None or number <= self.number:
            sys.exit('a call in the middle of another')
        resident = asked.get('resident') is True and self.language != 'shell'
        if self.house.child is not None and self.house.child.is_used and not resident:
            self.clean()
        self.number, self.held, self.house.cpu, self.house.rss = number, None, 0.0, 0
        limits = self.limits()

        def end(kind, payload, stays):
            self.end(kind, payload, stays and resident)

        self.call = call = Call(number, asked, self.wire, self.house, self.language, bool(limits), end)
        if self.loaded is None:
            return call.fail('protocol', 'nothing is loaded')
        try:
            if self.house.child is None or not self.house.child.is_used:
                self.unpack()
            if self.language == 'shell':
                self.house.child = self.shell(asked, limits)
            else:
                self.park()
                for what, most in limits:
                    resource.prlimit(self.house.child.pid, what, (most, most))
                where = {'folder': self.work + '/skill', 'entrypoint': self.loaded['entrypoint'], 'deps': self.loaded.get('deps')}
                self.house.child.send(INVOKE, dumps({**asked, **where, 'resident': resident}))
        except OSError as error:
            return call.fail('crashed', 'its files could not be laid out: %s' % error)
        call.child = child = self.house.child
        if not child.is_used:
            child.is_used = True
            self.eyes.watch(child.out, selectors.EVENT_READ, lambda _: self.hear(child.out, 1))
            self.eyes.watch(child.err, selectors.EVENT_READ, lambda _: self.hear(child.err, 2))
            self.eyes.watch(child.answer, selectors.EVENT_READ, lambda _: self.hear(child.answer))
        self.feed()

    def hear(self, end, stream=None):
        if self.call is None:
            self.overhear(end, stream)
        elif stream is None:
            self.call.hear()
        else:
            self.call.listen(stream, end)

    def overhear(self, end, stream):
        """A process that stays says something between two calls: nobody's log, and no answer."""
        child, data = self.house.child, read(end)
        child.stray += len(data or b'')
        if not data or stream is None or child.stray > FLOOD:
            self.clean()
            self.park()

    def unpack(self):
        """Written anew for each process, so that none can change what the next one runs."""
        for path, content in self.loaded['files'].items():
            full = os.path.join(self.work, 'skill', path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, 'xb') as file:
                file.write(content)
        if self.loaded.get('deps') and self.language == 'node' and not os.path.lexists(self.work + '/skill/node_modules'):
            os.symlink(self.loaded['deps'] + '/node_modules', self.work + '/skill/node_modules')

    def shell(self, asked, limits):
        secrets = {re.sub(r'\W', '_', name, flags=re.A): value for name, value in (asked.get('secrets') or {}).items()}
        env = {**secrets, 'OPENCLAW_KEY': asked['key'], **self.env()}
        if asked.get('traceparent'):
            env['TRACEPARENT'] = asked['traceparent']
        # A file without a name: it takes any input at once, whether or not it is read.
        stdin = os.memfd_create('input')
        os.write(stdin, dumps(asked.get('input')))
        os.lseek(stdin, 0, os.SEEK_SET)
        return Child(['/bin/sh', os.path.join(self.work, 'skill', self.loaded['entrypoint'])], env, self.work + '/skill', stdin, limits)

    def limits(self):
        given = self.loaded and self.loaded.get('limits')
        if not given:
            return ()
        memory = (resource.RLIMIT_DATA, (given['memory_mb'] + RESERVED_MB[self.language]) * MEGA)
        return memory, (resource.RLIMIT_NPROC, given['pids'] + 2), (resource.RLIMIT_FSIZE, given['tmp_mb'] * MEGA)

    def feed(self, _=None):
        child = self.house.child
        try:
            while child.queue:
                del child.queue[: os.write(child.control, child.queue)]
        except BlockingIOError:
            pass
        except OSError:
            child.queue.clear()
        self.eyes.watch(child.control, selectors.EVENT_WRITE if child.queue else 0, self.feed)

    def end(self, kind, payload, stays):
        number, self.held, self.call = self.number, (self.call.key, kind, payload), None
        # First of all: what follows is not for the caller to wait for.
        self.wire.say(kind, number, payload, more=stays)
        clean = True if stays else self.clean()
        self.idle = dumps({'clean': clean, 'cpu_ms': round(self.house.cpu * 1000), 'max_rss_kb': self.house.rss})
        self.wire.say(IDLE, number, self.idle)
        if clean:
            self.park()

    def clean(self):
        if self.links is not None:
            self.links.cut()
        return self.house.clean()


def lead(eyes, path):
    # Most sandboxes have no way out, and to load what it takes is a good part of their start.
    from links import Links

    return Links(eyes, path)
