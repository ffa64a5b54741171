"""
Entry point of an Agent Skill: answers the instructions of SKILL.md, the text of one of the files, or runs one of the scripts. Runs in the
sandbox and has its rights and no more; the gateway puts it beside the files of the folder.
"""
import base64
import os
import subprocess
import threading

ROOT = os.path.dirname(os.path.abspath(__file__))
MAX_FILE, MAX_STREAM, MAX_LISTED = 512 * 1024, 128 * 1024, 256
RUNNERS = {
    '.py': ['python3', '-B'],
    '.sh': ['sh'],
    '.bash': ['bash'],
    '.js': ['node'],
    '.mjs': ['node'],
    '.cjs': ['node'],
}


def listed():
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in ('__pycache__', 'node_modules')]
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), ROOT)
            if path != 'agent_skill.py' and os.path.isfile(os.path.join(ROOT, path)):
                found.append(path)
    return sorted(found)


def inside(name):
    """The path of a file of the folder; what leads out of it, links included, is none."""
    path = os.path.realpath(os.path.join(ROOT, name))
    if not path.startswith(os.path.realpath(ROOT) + os.sep) or not os.path.isfile(path):
        raise ValueError('there is no file "%s"; there are %s' % (name, ', '.join(listed()[:20])))
    return path


def instructions():
    with open(os.path.join(ROOT, 'SKILL.md'), encoding='utf-8-sig', newline='') as file:
        lines = file.read().split('\n')
    end = next((at for at, line in enumerate(lines[1:], 1) if line.rstrip() == '---'), 0)
    return {'instructions': '\n'.join(lines[end + 1:]).strip(), 'files': listed()[:MAX_LISTED]}


def content(name):
    path = inside(name)
    if os.path.getsize(path) > MAX_FILE:
        raise ValueError('"%s" is larger than %d bytes' % (name, MAX_FILE))
    with open(path, 'rb') as file:
        data = file.read()
    try:
        return {'content': data.decode('utf-8'), 'encoding': 'utf-8'}
    except UnicodeDecodeError:
        return {'content': base64.b64encode(data).decode(), 'encoding': 'base64'}


def drain(stream, kept):
    """Reads to the end, so that the script never waits, and keeps the beginning."""
    size = 0
    while True:
        part = stream.read1(65536)
        if not part:
            return
        if size < MAX_STREAM:
            kept.append(part[:MAX_STREAM - size])
        size += len(part)


def feed(stream, text):
    try:
        stream.write(text.encode('utf-8', 'surrogatepass'))
        stream.close()
    except (BrokenPipeError, ConnectionResetError, ValueError):
        pass


def script(name, args, text, ctx):
    path = inside(name)
    runner = RUNNERS.get(os.path.splitext(path)[1])
    if runner is None:
        raise ValueError('"%s" is no script that can be run: .py, .sh, .bash, .js, .mjs, .cjs' % name)
    before = set(listed())
    environment = {**os.environ, **dict(getattr(ctx, 'secrets', None) or {}), 'IDEMPOTENCY_KEY': str(getattr(ctx, 'key', ''))}
    process = subprocess.Popen(
        [*runner, path, *args], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = [], []
    threads = [
        threading.Thread(target=drain, args=(process.stdout, out), daemon=True),
        threading.Thread(target=drain, args=(process.stderr, err), daemon=True),
        threading.Thread(target=feed, args=(process.stdin, text), daemon=True),
    ]
    for thread in threads:
        thread.start()
    code = process.wait()
    for thread in threads[:2]:
        # What it left running may hold the pipes; the end of the call takes care of that.
        thread.join(1)
    return {
        'stdout': b''.join(out).decode('utf-8', 'replace'),
        'stderr': b''.join(err).decode('utf-8', 'replace'),
        'exit_code': code if code >= 0 else 128 - code,
        'files': sorted(set(listed()) - before)[:MAX_LISTED],
    }


def run(input, ctx):
    if 'script' in input:
        if 'file' in input:
            raise ValueError('ask for a file or a script, not for both')
        return script(input['script'], input.get('args', []), input.get('stdin', ''), ctx)
    return content(input['file']) if 'file' in input else instructions()
