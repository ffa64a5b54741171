"""
The way out of a sandbox: 127.0.0.1:3128 inside, and from there to the unix socket of the gateway's proxy. Moves bytes; which hosts may be
reached is for the proxy to say.
"""
import selectors
import socket

MAX_LINKS, PIECE, LINK_BYTES = 64, 65_536, 262_144


class Links:
    proxy = 'http://127.0.0.1:3128'

    def __init__(self, eyes, path):
        self.eyes, self.path, self.peers, self.waiting, self.ended = eyes, path, {}, {}, set()
        self.door = socket.create_server(('127.0.0.1', 3128), backlog=MAX_LINKS)
        self.door.setblocking(False)
        eyes.register(self.door, selectors.EVENT_READ, self.open)

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
            self.eyes.register(one, selectors.EVENT_READ, lambda events, one=one: self.move(one, events))

    def move(self, one, events):
        other = self.peers[one]
        try:
            if events & selectors.EVENT_READ and len(self.waiting[other]) < LINK_BYTES:
                data = one.recv(PIECE)
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
        known = self.eyes.get_map().get(end)
        if known is not None and known.events == wanted:
            return
        if known is not None:
            self.eyes.unregister(end)
        if wanted:
            self.eyes.register(end, wanted, lambda events: self.move(end, events))

    def close(self, one):
        for end in (one, self.peers.get(one)):
            if end is not None and self.peers.pop(end, None) is not None:
                if self.eyes.get_map().get(end) is not None:
                    self.eyes.unregister(end)
                self.waiting.pop(end)
                self.ended.discard(end)
                end.close()

    def cut(self):
        for end in list(self.peers):
            self.close(end)
