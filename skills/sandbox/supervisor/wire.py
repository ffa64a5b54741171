"""
The conversation with the gateway: frames as in `frame.py`, read and written without ever waiting. What a frame asks for is
done elsewhere.
"""
import json
import os
import selectors
import sys

from frame import BOUNDS, BYE, GREETING, HEADER, MARK_BYTES, SMALL


def dumps(value):
    return json.dumps(value, separators=(',', ':')).encode()


def read(end, most=SMALL):
    """None: nothing now; empty: no more ever."""
    try:
        return os.read(end, most)
    except BlockingIOError:
        return None
    except OSError:
        return b''


class Eyes(selectors.DefaultSelector):
    """What is waited for."""

    def watch(self, end, events, then):
        known = self.get_map().get(end)
        if known is None:
            if events:
                self.register(end, events, then)
        elif not events:
            self.unregister(end)
        elif known.events != events:
            self.modify(end, events, then)

    def look(self, seconds):
        for key, events in self.select(max(0.0, seconds)):
            # What came before it may have ended this one.
            if self.get_map().get(key.fd) is key:
                key.data(events)


class Wire:
    def __init__(self, eyes, obey):
        self.eyes, self.obey = eyes, obey
        self.inbox, self.outbox, self.greeted, self.scanned = bytearray(), bytearray(), False, 0
        # Ours alone: on the descriptors that programs write to by habit nothing is heard.
        self.input, self.output = os.dup(0), os.dup(1)
        null = os.open('/dev/null', os.O_RDWR)
        for end in (0, 1):
            os.dup2(null, end)
        os.close(null)
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        eyes.register(self.input, selectors.EVENT_READ, self.take)

    def say(self, kind, number, payload, more=False):
        """more: the next frame follows at once, and goes along."""
        self.outbox += HEADER.pack(len(payload), kind, number) + payload
        if not more:
            self.flush()

    def begin(self, mark):
        """Another gateway listens: what the one before did not read is of no use, and its frame may be cut."""
        self.outbox[:] = mark[:MARK_BYTES]

    def flush(self, _=None):
        try:
            while self.outbox:
                del self.outbox[: os.write(self.output, self.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            sys.exit()
        self.eyes.watch(self.output, selectors.EVENT_WRITE if self.outbox else 0, self.flush)

    def take(self, _):
        data = read(self.input)
        if data == b'':
            sys.exit()
        self.inbox += data or b''
        at = self.inbox.rfind(GREETING, max(0, self.scanned - len(GREETING)))
        if at >= 0:
            rest = self.inbox[at + len(GREETING) :]
            del self.inbox[at:]
            self.frames()
            self.inbox, self.greeted = rest, True
        self.frames()
        if not self.greeted:
            del self.inbox[: -len(GREETING)]
        self.scanned = len(self.inbox)

    def frames(self):
        while self.greeted and len(self.inbox) >= HEADER.size:
            size, kind, number = HEADER.unpack_from(self.inbox)
            if kind > BYE or size > BOUNDS.get(kind, SMALL):
                sys.exit('a frame of type %d with %d bytes is not for us' % (kind, size))
            if len(self.inbox) < HEADER.size + size:
                break
            payload = bytes(self.inbox[HEADER.size : HEADER.size + size])
            del self.inbox[: HEADER.size + size]
            self.obey(kind, number, payload)
