"""
The process of one call of a Python skill: waits on descriptor 4 until it is told what to run, calls `run(input, ctx)`, answers on
descriptor 3. Started ahead, alone with itself: what bounds and ends it is the supervisor's.
"""
import json
import os
import select
import signal
import struct
import sys
import threading
import types

HEADER = struct.Struct('>IBI')
INVOKE, RETURNED = 3, 5
PROGRESS, LOG, RESULT, ERROR, CALL = 67, 68, 69, 70, 72
MAX_OUTPUT, MAX_PROGRESS = 1_048_576, 16_384
writing, calling = threading.RLock(), threading.Lock()


def send(kind, payload):
    data = memoryview(HEADER.pack(len(payload), kind, 0) + payload)
    with writing:
        while data:
            data = data[os.write(3, data) :]


def receive():
    def exactly(count):
        data = bytearray()
        while len(data) < count:
            piece = os.read(4, count - len(data))
            if not piece:
                os._exit(0)
            data += piece
        return bytes(data)

    size, kind, _ = HEADER.unpack(exactly(HEADER.size))
    return kind, json.loads(exactly(size))


def dumps(value):
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(',', ':')).encode()


class SkillError(RuntimeError):
    """What another skill, called by `ctx.call`, ended by. `code` says how."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Signal:
    """`aborted`: the call is being stopped, and half a second is left."""

    def __init__(self):
        self.aborted, self.ends = False, None

    def wait(self, timeout=None):
        """True as soon as it is aborted, False after `timeout` seconds."""
        select.select([self.ends[0]], [], [], timeout)
        return self.aborted

    def open(self):
        self.ends = self.ends or os.pipe()
        return self

    def abort(self, *_):
        # Who never asked for the signal is not waited for.
        if self.ends is None:
            os._exit(143)
        self.aborted = True
        os.write(self.ends[1], b'x')

    def close(self):
        for end in self.ends or ():
            os.close(end)


class Context:
    def __init__(self, asked, stop):
        self.key, self.secrets, self.traceparent = asked['key'], asked.get('secrets') or {}, asked.get('traceparent')
        self._stop, self._calls = stop, asked.get('calls', 0)

    @property
    def signal(self):
        return self._stop.open()

    def progress(self, data):
        payload = dumps(data)
        if len(payload) > MAX_PROGRESS:
            raise ValueError('progress of %d bytes; at most %d are told' % (len(payload), MAX_PROGRESS))
        send(PROGRESS, payload)

    def log(self, text):
        send(LOG, (str(text) + '\n').encode('utf-8', 'replace')[:65_536])

    def call(self, skill, input=None):
        with calling:
            self._calls += 1
            send(CALL, dumps({'n': self._calls, 'skill': skill, 'input': input}))
            kind, told = receive()
        outcome = told['outcome']
        if outcome['status'] == 'ok':
            return outcome['output']
        raise SkillError(outcome['code'], outcome['message'])


def load(asked):
    folder, entrypoint = asked['folder'], asked['entrypoint']
    path = os.path.join(folder, entrypoint)
    sys.path[0:0] = [os.path.dirname(path), *([asked['deps']] if asked.get('deps') else [])]
    os.chdir(folder)
    with open(path, 'rb') as file:
        source = file.read()
    module = types.ModuleType('__skill__')
    module.__file__ = path
    sys.modules['__skill__'] = module
    exec(compile(source, path, 'exec'), module.__dict__)
    run = getattr(module, 'run', None)
    if not callable(run):
        raise TypeError('%s defines no run(input, ctx)' % entrypoint)
    return run


def answer(run, asked, stop):
    output = run(asked['input'], Context(asked, stop))
    if hasattr(output, '__await__'):
        import asyncio

        async def wait():
            return await output

        output = asyncio.run(wait())
    try:
        payload = dumps(output)
    except (ValueError, TypeError, RecursionError) as error:
        return ERROR, dumps({'code': 'invalid_output', 'message': 'run() returned what is not JSON: %s' % error})
    if len(payload) > MAX_OUTPUT:
        message = 'its output has %d bytes; at most %d are allowed' % (len(payload), MAX_OUTPUT)
        return ERROR, dumps({'code': 'output_limit', 'message': message})
    return RESULT, payload


def failure(error):
    import traceback

    lines = traceback.format_exception(type(error), error, error.__traceback__)
    sys.stderr.write(''.join(lines)[-4_000:])
    if isinstance(error, MemoryError):
        return ERROR, dumps({'code': 'oom', 'message': 'it needed more memory than it may have'})
    message = '%s: %s' % (type(error).__name__, error)
    return ERROR, json.dumps({'code': 'crashed', 'message': message[:2_000]}).encode()


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass


def rehearse():
    """What every call does, once before it is waited for."""
    scope = {}
    exec(compile('def run(input, ctx):\n  return {"n": [input["n"] + 1, 0.5, "x", None]}\n', '', 'exec'), scope)
    json.loads(dumps(scope['run']({'n': 1}, None)))


def main():
    run = None
    rehearse()
    while True:
        kind, asked = receive()
        stop = Signal()
        signal.signal(signal.SIGTERM, stop.abort)
        if asked.get('traceparent'):
            os.environ['TRACEPARENT'] = asked['traceparent']
        try:
            run = run or load(asked)
            kind, payload = answer(run, asked, stop)
        except BaseException as error:
            kind, payload = failure(error)
        flush()
        send(kind, payload)
        stop.close()
        if not asked.get('resident'):
            signal.pause()


main()
