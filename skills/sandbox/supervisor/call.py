"""
One call while it runs: what its process says, how long it may, and what it ended by. The process is taken for hostile; the numbers of calls
are written here and nowhere else.
"""
import json
import os
import re
import signal
import time

from frame import BOUNDS, CALL, ERROR, HEADER, LOG, MEGA, PROGRESS, RESULT, SMALL
from wire import dumps, read

LOG_PIECE, LOG_KEPT, FLOOD = 8_192, 65_536, 8 * MEGA
MAX_CALLS, UNREAD = 16, 262_144
CANCEL_S, PROGRESS_S, CLOSED_S = 0.5, 0.1, 0.2
STREAMS = {1: 'stdout', 2: 'stderr', 3: 'ctx.log'}
# What runtimes say when they are refused memory, before they abort.
NO_MEMORY = re.compile(b'out of memory|std::bad_alloc|Cannot allocate memory|Allocation failed', re.I)
OOM = 'it needed more memory than it may have'
# What a skill may say of itself; all else it says is `crashed`, so that nothing it forges is tried again elsewhere.
OF_ITSELF = ('crashed', 'invalid_output', 'output_limit', 'oom')


class Breach(Exception):
    """A skill broke the rules of talking with us."""


class Call:
    """`end(kind, payload, stays)` is called once, with a RESULT or an ERROR. stays: the process may take the next call too."""

    def __init__(self, number, asked, wire, house, language, has_limits, end):
        self.wire, self.house, self.language, self.has_limits, self.end = wire, house, language, has_limits, end
        self.number, self.key, self.timeout_ms = number, asked['key'], asked['timeout_ms']
        self.deadline = time.monotonic() + self.timeout_ms / 1000
        self.child = self.kill_at = self.progress = None
        self.is_over, self.is_heap, self.progress_at, self.flood, self.tail = False, False, 0.0, 0, b''
        self.open, self.asked = {}, 0
        self.left, self.dropped = dict.fromkeys(STREAMS, LOG_KEPT), dict.fromkeys(STREAMS, 0)

    def cancel(self):
        if self.kill_at is None:
            self.kill_at = time.monotonic() + CANCEL_S
            self.house.kill(signal.SIGTERM)

    def returned(self, n):
        return self.open.pop(n, None) is not None

    # What its process says.

    def listen(self, stream, end, most=1):
        for _ in range(most):
            data = read(end)
            if data == b'':
                self.wire.eyes.watch(end, 0, None)
            if not data or self.is_over:
                return
            if stream == 2:
                self.is_heap = self.is_heap or NO_MEMORY.search(self.tail + data) is not None
                self.tail = (self.tail + data)[-2_000:]
            self.log(stream, data)
            self.count(len(data))

    def log(self, stream, data):
        kept = data[: self.left[stream]]
        self.left[stream] -= len(kept)
        self.dropped[stream] += len(data) - len(kept)
        for at in range(0, len(kept), LOG_PIECE):
            self.wire.say(LOG, self.number, bytes([stream]) + kept[at : at + LOG_PIECE])

    def count(self, size):
        self.flood += size
        if self.flood > FLOOD and not self.is_over:
            self.fail('output_limit', 'it wrote more than %d bytes of logs and progress' % FLOOD)

    def hear(self):
        """True: there may be more."""
        child = self.child
        data = read(child.answer)
        if data == b'':
            self.wire.eyes.watch(child.answer, 0, None)
            child.closed_at = child.closed_at or time.monotonic()
        if not data or self.is_over:
            return False
        child.heard += data
        if self.language == 'shell':
            if len(child.heard) > MEGA:
                self.fail('output_limit', 'its output has more than %d bytes' % MEGA)
            return not self.is_over
        try:
            while not self.is_over and len(child.heard) >= HEADER.size:
                size, kind, _ = HEADER.unpack_from(child.heard)
                if kind == RESULT and size > MEGA:
                    self.fail('output_limit', 'its output has %d bytes; at most %d are allowed' % (size, MEGA))
                elif kind not in (PROGRESS, LOG, RESULT, ERROR, CALL) or size > BOUNDS.get(kind, SMALL):
                    raise Breach('something else than it should')
                elif len(child.heard) < HEADER.size + size:
                    return True
                else:
                    payload = bytes(child.heard[HEADER.size : HEADER.size + size])
                    del child.heard[: HEADER.size + size]
                    self.answered(kind, payload)
        except Breach as breach:
            self.fail('protocol', 'on descriptor 3, which is for its supervisor, it wrote %s' % breach)
        return not self.is_over

    def answered(self, kind, payload):
        if kind == RESULT:
            return self.finish(RESULT, payload, stays=True)
        if kind == LOG:
            self.log(3, payload)
        elif kind == PROGRESS:
            self.progress = payload
            self.report()
        else:
            try:
                said = parse(payload)
                if kind == ERROR:
                    code = said['code'] if said['code'] in OF_ITSELF else 'crashed'
                    return self.fail(*self.cause(code, str(said['message'])[:2_000]), stays=True)
                if said['n'] != self.asked + 1 or not isinstance(said['skill'], str):
                    raise ValueError('a call of another skill out of order')
                if len(self.open) >= MAX_CALLS:
                    raise ValueError('more than %d calls of other skills at once' % MAX_CALLS)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise Breach(str(error)[:200])
            self.asked += 1
            self.open[self.asked] = payload
            self.wire.say(CALL, self.number, payload)
        self.count(len(payload))

    def report(self, last=False):
        now = time.monotonic()
        if self.progress is not None and (last or now >= self.progress_at) and len(self.wire.outbox) < UNREAD:
            self.progress_at = now + PROGRESS_S
            payload, self.progress = self.progress, None
            self.wire.say(PROGRESS, self.number, payload)

    # How it ends.

    def due(self):
        """Ends it when it is time. When to look again."""
        child, now = self.child, time.monotonic()
        closed_at = child.closed_at and self.language != 'shell' and child.closed_at + CLOSED_S
        if child.status is not None:
            self.died()
        elif self.kill_at is not None and now >= self.kill_at:
            self.fail('cancelled', 'it was stopped')
        elif now >= self.deadline:
            self.fail('timeout', 'it took longer than %d ms' % self.timeout_ms)
        elif closed_at and now >= closed_at:
            # One that ends closes it too; what it died of would have been the better answer.
            self.fail('protocol', 'it closed descriptor 3, which is for its supervisor')
        else:
            self.report()
            return min(at for at in (self.deadline, self.kill_at, closed_at, self.progress is not None and self.progress_at) if at)
        return now

    def died(self):
        while self.hear():
            pass
        self.drain()
        if self.is_over:
            return
        status = self.child.status
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        if self.language == 'shell' and code == 0:
            return self.judge(bytes(self.child.heard).strip())
        how = 'its process ended with exit code %d' % code if code is not None else 'its process was ended by %s' % signal_name(os.WTERMSIG(status))
        lines = [line.strip() for line in self.tail.decode('utf-8', 'replace').splitlines() if line.strip()]
        is_heap = code is None and self.is_heap
        self.fail(*self.cause('oom' if is_heap else 'crashed', ': '.join([how, *lines[-1:]])[:500]))

    def judge(self, output):
        """What a shell script wrote to descriptor 3."""
        try:
            parse(output)
        except (ValueError, RecursionError):
            what = 'something that is not JSON' if output else 'nothing'
            return self.fail('invalid_output', 'it wrote %s to file descriptor 3; its output belongs there, as JSON' % what)
        self.finish(RESULT, output)

    def cause(self, code, message):
        """What the kernel says it died of, where that says more than it says itself."""
        oom, pids = (now - before for now, before in zip(self.house.count(), self.house.counted))
        if oom > 0:
            return 'oom', OOM
        is_refused = self.has_limits and re.search("temporarily unavailable|can't start new thread|EAGAIN|Cannot fork", message)
        if code == 'crashed' and (pids > 0 or is_refused):
            return 'pids_exhausted', 'it started more processes and threads than it may have; ' + message
        return code, message

    def fail(self, code, message, stays=False):
        if self.kill_at is not None:
            code, message, stays = 'cancelled', 'it was stopped', False
        self.finish(ERROR, dumps({'code': code, 'message': message}), stays)

    def finish(self, kind, payload, stays=False):
        if self.flood <= FLOOD:
            self.drain()
        if self.is_over:
            return
        self.is_over = True
        # An answer of a skill that lost a process on the way is none.
        if kind == RESULT and self.house.count()[0] > self.house.counted[0]:
            kind, payload, stays = ERROR, dumps({'code': 'oom', 'message': OOM}), False
        self.report(last=True)
        for stream, lost in self.dropped.items():
            if lost:
                text = '[%d more bytes of %s were dropped]\n' % (lost, STREAMS[stream])
                self.wire.say(LOG, self.number, b'\x03' + text.encode())
        self.end(kind, payload, stays and self.kill_at is None)

    def drain(self):
        """What it wrote before it ended, as far as pipes hold it."""
        for stream, end in ((1, self.child.out), (2, self.child.err)) if self.child is not None else ():
            if not self.is_over:
                self.listen(stream, end, most=16)


def parse(data):
    def refuse(name):
        raise ValueError(name + ', which is not JSON')

    return json.loads(data.decode('utf-8'), parse_constant=refuse)


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return 'signal %d' % number
