/** Skills by bubblewrap: that they run, and what they cannot do. Each attack is first tried outside, where it works. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { AddressInfo, Server as TcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { textOf } from '#contract'
import type { JsonValue, SkillOutcome } from '#contract'
import { BubblewrapSandbox } from '../../../skills/sandbox/bubblewrap/bubblewrap.ts'
import { findHost } from '../../../skills/sandbox/bubblewrap/host.ts'
import type { Ended, Job } from '../../../skills/sandbox/sandbox.ts'
import type { EgressDoor } from '../../../skills/egress/egress.ts'
import { openWay, serve } from '../../support/egress.ts'
import { facilities } from '../../support/machine.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { eventually } from '../../support/eventually.ts'
import { realClock } from '../../support/real-clock.ts'
import { bundleOf, jobOf } from '../../support/supervisor.ts'
import type { Heard } from '../../support/supervisor.ts'

type Language = 'python' | 'node' | 'shell'
const EXTENSIONS = { python: 'py', node: 'mjs', shell: 'sh' } as const
const bwrap = facilities(process.env).find(({ name }) => name === 'bubblewrap')?.path ?? null
const skip = bwrap === null && process.env['CI'] !== 'true' ? 'bubblewrap is not installed' : false
const TOKEN = '7'.repeat(64)
const MARK = 'gateway-environment-7f3a'

describe('bubblewrap', { skip }, () => {
  let folder: string
  let proxy: Server
  let front: TcpServer
  let sandbox: BubblewrapSandbox
  const doors: string[] = []

  before(async () => {
    process.env['OPENCLAW_TEST_MARK'] = MARK
    folder = await mkdtemp(join(tmpdir(), 'openclaw-bwrap-'))
    execFileSync('chmod', ['711', folder])
    await mkdir(join(folder, 'deps/node_modules/dep'), { recursive: true })
    await writeFile(join(folder, 'deps/dep.py'), 'NAME = "from the lock file"\n')
    await writeFile(join(folder, 'deps/node_modules/dep/index.js'), 'exports.NAME = "from the lock file"\n')
    execFileSync('chmod', ['-R', 'a+rX', join(folder, 'deps')])
    proxy = createServer((request, response) => response.end(`proxied ${request.url}`))
    // Node's fetch asks for a tunnel also where TLS is not meant.
    proxy.on('connect', ({ url }: { url?: string }, socket: Duplex) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ntunnelled ${url}`))
    })
    front = createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      socket.once('readable', () => {
        assert.equal(String(socket.read(TOKEN.length)), TOKEN)
        proxy.emit('connection', socket)
      })
    }).listen(join(folder, 'proxy.sock'))
    await once(front, 'listening')
    execFileSync('chmod', ['666', join(folder, 'proxy.sock')])
    const report = { allowed: 1, denied: 0, denials: [], bytesUp: 0, bytesDown: 0 }
    const begin: EgressDoor['begin'] = ({ key }) => void doors.push(key)
    const door: EgressDoor = { dir: folder, token: TOKEN, begin, end: () => report, close: () => Promise.resolve() }
    sandbox = new BubblewrapSandbox({
      settings: { maxConcurrent: 4, maxQueued: 2, queueMs: 20_000 },
      log: quietLog,
      clock: realClock,
      egress: { open: () => Promise.resolve(door), sweep: () => Promise.resolve() },
      folders: { folder: () => Promise.resolve(join(folder, 'deps')) },
    })
    const { isAvailable, reason } = await sandbox.report()
    assert.equal(isAvailable, true, String(reason))
  })

  after(async () => {
    await sandbox.stop()
    front.close()
    await rm(folder, { recursive: true, force: true })
    delete process.env['OPENCLAW_TEST_MARK']
  })

  function jobFor(
    language: Language,
    source: string,
    input: JsonValue,
    more: Partial<Job> = {},
  ): { readonly job: Job; readonly heard: Heard } {
    const { job, heard } = jobOf(input, more)
    const bundle = bundleOf(language, { [`main.${EXTENSIONS[language]}`]: source })
    const resources = { memoryMb: 128, cpus: 1, pids: 32, tmpMb: 8 }
    return {
      job: { tenant: 'acme', egress: [], ...job, bundle: more.bundle ?? { ...bundle, descriptor: { ...bundle.descriptor, resources } } },
      heard,
    }
  }
  const run = (language: Language, source: string, input: JsonValue = null, more: Partial<Job> = {}): Promise<Ended> =>
    sandbox.run(jobFor(language, source, input, more).job)
  const output = async (language: Language, source: string, input: JsonValue = null, more: Partial<Job> = {}): Promise<JsonValue> => {
    const { outcome } = await run(language, source, input, more)
    assert.equal(outcome.status, 'ok', outcome.status === 'error' ? `${outcome.code}: ${outcome.message}` : '')
    return outcome.status === 'ok' ? outcome.output : null
  }
  const code = ({ outcome }: { readonly outcome: SkillOutcome }): string => (outcome.status === 'ok' ? 'ok' : outcome.code)
  /** How each line of Python ends, evaluated on its own: 'done' or the name of the error. */
  const TRY = `
import os, socket, ctypes
libc = ctypes.CDLL(None, use_errno=True)
def syscall(*args):
    if libc.syscall(*args) < 0: raise OSError(ctypes.get_errno(), 'x')
def run(lines, ctx=None):
    found = []
    for line in lines:
        try:
            exec(line)
            found.append('done')
        except OSError as error: found.append(type(error).__name__ if error.errno is None else os.strerror(error.errno))
    return found
`
  const outside = (lines: readonly string[]): unknown =>
    JSON.parse(
      execFileSync(
        '/usr/bin/python3',
        ['-c', `${TRY}\nimport json, sys\nprint(json.dumps(run(json.loads(sys.argv[1]))))`, JSON.stringify(lines)],
        { encoding: 'utf8' },
      ),
    )

  test('runs Python, Node and shell, and tells how long each part took', async () => {
    assert.equal(await output('python', 'def run(n, ctx): return n + 1', 1), 2)
    assert.equal(await output('node', 'export const run = async (n) => n + 1', 1), 2)
    assert.equal(await output('shell', 'read n; echo $((n + 1)) >&3', 1), 2)
    const { outcome, hasStarted } = await run('python', 'def run(n, ctx): return n', 1)
    assert.ok(hasStarted && outcome.times && outcome.times.runMs > 0 && outcome.times.startMs >= 0)
  })

  test('the supervisor is process 1, without rights, without filterless calls, and nobody else is there', async () => {
    const status = textOf(await output('python', 'def run(i, c): return open("/proc/self/status").read()'))
    for (const line of [
      'CapEff:\\t0000000000000000',
      'CapBnd:\\t0000000000000000',
      'NoNewPrivs:\\t1',
      'Seccomp:\\t2',
      'PPid:\\t1',
      'Uid:\\t1000',
    ]) {
      assert.match(status, new RegExp(line))
    }
    const pids = await output(
      'python',
      'import os\ndef run(i, c): return [sorted(int(p) for p in os.listdir("/proc") if p.isdigit()), os.getpid()]',
    )
    assert.ok(Array.isArray(pids))
    assert.deepEqual(pids[0], [1, pids[1]])
  })

  test('nothing can be written but /tmp', async () => {
    const paths = [
      '/x',
      '/usr/x',
      '/usr/bin/x',
      '/etc/x',
      '/opt/openclaw/x',
      '/opt/x',
      '/dev/x',
      '/dev/shm/x',
      '/run/x',
      '/proc/sys/kernel/core_pattern',
      '/opt/openclaw/call.py',
      '/opt/node/bin/node',
    ]
    const found = await output('python', TRY, [...paths.map((path) => `open('${path}', 'a').close()`), "open('/tmp/x', 'w').write('ok')"])
    assert.ok(Array.isArray(found))
    assert.equal(found.at(-1), 'done')
    assert.ok(
      found.slice(0, -1).every((each) => each !== 'done'),
      JSON.stringify(found),
    )
  })

  test('no file of this machine is to be seen but programs', async () => {
    const seen = await output('python', 'import os\ndef run(i, c): return sorted(os.listdir("/")), [p for p in i if os.path.exists(p)]', [
      '/root',
      '/home',
      '/var',
      '/work',
      '/sys',
      '/etc/passwd',
      '/etc/hostname',
      '/etc/ssl/private',
      process.cwd(),
      process.execPath,
    ])
    assert.ok(Array.isArray(seen))
    assert.deepEqual(seen[1], [])
    for (const name of seen[0] as readonly string[]) assert.match(name, /^(bin|dev|etc|lib|lib32|lib64|libx32|opt|proc|sbin|tmp|usr)$/)
  })

  test('there is no network, not even the gateway’s own ports', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const lines = [
      `socket.create_connection(('127.0.0.1', ${port}), 2)`,
      "socket.create_connection(('169.254.169.254', 80), 2)",
      "socket.create_connection(('8.8.8.8', 53), 2)",
    ]
    try {
      assert.deepEqual(execFileSync('/usr/bin/python3', ['-c', `import socket\n${lines[0]}\nprint('in')`], { encoding: 'utf8' }), 'in\n')
      assert.deepEqual(await output('python', TRY, lines), ['Connection refused', 'Network is unreachable', 'Network is unreachable'])
    } finally {
      server.close()
    }
  })

  test('calls that reach around the sandbox are refused, though they work outside', async () => {
    const lines = [
      'socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)',
      'syscall(425, 1, ctypes.create_string_buffer(120))',
      'syscall(101, 0, 0, 0, 0)',
      'syscall(272, 0x10000000)',
      'syscall(272, 0x20000)',
      'syscall(250, 0, -3, 1)',
      'syscall(319 if os.uname().machine == "x86_64" else 279, b"x", 0)',
    ]
    const refused = await output('python', TRY, lines.slice(0, -1))
    assert.deepEqual(refused, Array(6).fill('Operation not permitted'))
    const free = outside(lines)
    assert.ok(Array.isArray(free))
    assert.ok(free.filter((each) => each === 'done').length >= 4, JSON.stringify(free))
    assert.deepEqual(await output('python', TRY, lines.slice(-1)), ['done'], 'what programs need is there')
  })

  test('the gateway’s environment is nowhere, and process 1 tells nothing', async () => {
    const source = `import os
def run(mark, c):
    found, denied = [], []
    for pid in (p for p in os.listdir('/proc') if p.isdigit()):
        for name in ('environ', 'cmdline', 'mem', 'maps', 'fd'):
            path = '/proc/%s/%s' % (pid, name)
            try:
                if name == 'fd': os.listdir(path)
                elif name == 'mem': open(path, 'r+b').close()
                elif mark.encode() in open(path, 'rb').read(): found.append(path)
            except PermissionError: denied.append(path)
    return found, denied
`
    assert.ok((await readFile(`/proc/${process.pid}/environ`)).length > 0)
    const found = await output('python', source, MARK, { secrets: { TOKEN: MARK } })
    assert.deepEqual(found, [[], ['/proc/1/environ', '/proc/1/mem', '/proc/1/maps', '/proc/1/fd']])
  })

  test('its processes hold no descriptor of ours', async () => {
    for (const [language, source] of [
      [
        'python',
        'import os\ndef run(i, c): return sorted(os.readlink("/proc/self/fd/" + n) for n in os.listdir("/proc/self/fd") if os.path.lexists("/proc/self/fd/" + n))',
      ],
      ['shell', 'ls -l /proc/self/fd | sed "s/.*-> //" | grep -v "^total" | sed "s/.*/\\"&\\"/" | paste -sd, | sed "s/.*/[&]/" >&3'],
    ] as const) {
      const links = await output(language, source)
      assert.ok(Array.isArray(links))
      for (const link of links) assert.match(String(link), /^(pipe:|\/dev\/null|\/memfd:input|\/proc\/)/)
    }
  })

  test('memory is bounded: oom, in Python and in Node, on the heap and beside it', async () => {
    for (const [language, source] of [
      ['python', 'def run(i, c): return len(bytearray(1 << 30))'],
      ['node', 'export const run = () => { const all = []; for (;;) all.push(Buffer.alloc(1e7, 1)) }'],
      ['node', 'export const run = () => { const all = []; for (;;) all.push(new Array(1e5).fill({})) }'],
    ] as const) {
      const ended = await run(language, source)
      assert.equal(code(ended), 'oom', JSON.stringify(ended))
    }
  })

  test('processes are bounded, and a fork bomb is gone when its call is', async () => {
    const bomb =
      'import os\ndef run(i, c):\n    n = 0\n    while True:\n        if os.fork() == 0:\n            while True: pass\n        n += 1\n        c.progress(n)\n'
    const { job, heard } = jobFor('python', bomb, null)
    assert.equal(code(await sandbox.run(job)), 'pids_exhausted')
    assert.ok(Number(heard.progress().at(-1)) <= 34)
  })

  test('space in /tmp is bounded', async () => {
    const found = await output('python', TRY, [
      "[open('/tmp/%d' % n, 'w').write('x' * 1000000) for n in range(20)]",
      "open('/tmp/big', 'w').truncate(1 << 40)",
    ])
    assert.ok(Array.isArray(found))
    assert.equal(found[0], 'No space left on device')
    assert.notEqual(found[1], 'done')
  })

  test('what is left running dies with the call', async () => {
    await output('python', 'import subprocess\ndef run(i, c): return subprocess.Popen(["setsid", "sleep", "98761"]).pid')
    await output('shell', '(setsid sleep 98761 &) ; echo 1 >&3')
    const left = async (): Promise<readonly string[]> => {
      const found: string[] = []
      for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
        const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
        if (line.includes('98761')) found.push(line)
      }
      return found
    }
    await eventually(async () => (await left()).length === 0, 'their end')
  })

  test('one call leaves nothing to the next', async () => {
    await output('python', 'def run(i, c): open("/tmp/left", "w").write("x")')
    assert.deepEqual(await output('python', 'import os\ndef run(i, c): return os.listdir("/tmp")'), ['skill'])
  })

  test('ends at the deadline, and when it is cancelled, whatever it does', async () => {
    const deaf = 'import signal\ndef run(i, c):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    c.progress(1)\n    while True: pass'
    const { outcome } = await run('python', deaf, null, { timeoutMs: 500 })
    assert.equal(outcome.status === 'error' && `${outcome.code}: ${outcome.message}`, 'timeout: it took longer than 500 ms')
    const stop = new AbortController()
    const ended = await run('python', deaf, null, { signal: stop.signal, tell: ({ is }) => (is === 'progress' ? stop.abort() : undefined) })
    assert.equal(code(ended), 'cancelled')
    assert.equal(code(await run('python', deaf, null, { signal: AbortSignal.abort() })), 'cancelled')
  })

  test('reaches declared hosts through the proxy, and only then has a way out', async () => {
    const egress = ['example.test:80']
    const python = 'import urllib.request\ndef run(url, c): return urllib.request.urlopen(url).read().decode()'
    const node = 'export const run = async (url) => (await fetch(url)).text()'
    assert.equal(await output('python', python, 'http://example.test/a', { egress }), 'proxied http://example.test/a')
    assert.equal(await output('node', node, 'http://example.test/b', { egress }), 'tunnelled example.test:80')
    assert.equal(doors.length, 2)
    assert.equal(code(await run('python', python, 'http://example.test/a')), 'crashed')
  })

  test('has a door of the real proxy, and what that denies stands in its log although the run ended well', async (context) => {
    const port = await serve(context, (_request, response) => response.end('hello'))
    const place = `127.0.0.1:${port}`
    const { proxy: way, root, door: other } = await openWay(context, { privateHosts: [place] })
    const settings = { maxConcurrent: 2, maxQueued: 2, queueMs: 5_000 }
    const own = new BubblewrapSandbox({ settings, log: quietLog, clock: realClock, egress: way, folders: null })
    const source = `import urllib.error, urllib.request
def run(urls, c):
    found = []
    for url in urls:
        try: found.append(urllib.request.urlopen(url, timeout=5).read().decode())
        except urllib.error.HTTPError as error: found.append(error.code)
    return found
`
    const urls = [`http://${place}/`, 'http://169.254.169.254/', `http://localhost:${port}/`]
    const { job, heard } = jobFor('python', source, urls, { egress: [place] })
    const { outcome } = await own.run(job)
    assert.deepEqual(outcome.status === 'ok' ? outcome.output : outcome, ['hello', 403, 403])
    assert.match(heard.text('log'), /^egress: 169\.254\.169\.254:80 is not among .*\negress: localhost:\d+ is not among .*\n$/)
    const locked = { ...job.bundle, descriptor: { ...job.bundle.descriptor, dependencies: 'requirements.txt' } }
    const refused = await own.run({ ...job, bundle: locked })
    assert.equal(code(refused), 'unavailable')
    assert.match(refused.outcome.status === 'error' ? refused.outcome.message : '', /with Docker or Podman only.*without requirements\.txt/)
    assert.match(JSON.stringify((await own.report()).leaves), /lock file are refused/)
    await own.stop()
    await other.close()
    assert.deepEqual(await readdir(root), [])
  })

  test('finds what its lock file names', async () => {
    for (const [language, source] of [
      ['python', 'import dep\ndef run(i, c): return dep.NAME'],
      ['node', 'import { NAME } from "dep"\nexport const run = () => NAME'],
    ] as const) {
      const bundle = bundleOf(language, { [`main.${EXTENSIONS[language]}`]: source })
      const withLock = { ...bundle, descriptor: { ...bundle.descriptor, dependencies: 'lock' } }
      assert.equal(await output(language, '', null, { bundle: withLock }), 'from the lock file')
    }
  })

  test('more calls than places wait, and more than may wait are refused', async () => {
    const busy = async (): Promise<boolean> => !JSON.stringify((await sandbox.report()).facts['sandboxes']).includes('"busy":0')
    await eventually(async () => !(await busy()), 'the end of those before')
    const source = 'import time\ndef run(i, c): time.sleep(0.2)'
    const ends = await Promise.all(Array.from({ length: 8 }, () => run('python', source)))
    assert.deepEqual(ends.map(code).sort(), [...Array<string>(2).fill('busy'), ...Array<string>(6).fill('ok')])
    assert.ok(ends.every(({ outcome, hasStarted }) => hasStarted === (outcome.status === 'ok')))
  })

  test('stops with nothing left, and then refuses', async () => {
    const own = new BubblewrapSandbox({
      settings: { maxConcurrent: 2, maxQueued: 2, queueMs: 1_000 },
      log: quietLog,
      clock: realClock,
      egress: null,
      folders: null,
    })
    const begun = Promise.withResolvers<void>()
    const { job } = jobFor('python', 'import time\ndef run(i, c):\n    c.progress(1)\n    time.sleep(60)', null, {
      tell: ({ is }) => (is === 'progress' ? begun.resolve() : undefined),
    })
    const running = own.run(job)
    await begun.promise
    await own.stop()
    assert.equal(code(await running), 'crashed')
    assert.deepEqual((await own.report()).facts['sandboxes'], { busy: 0, parked: 0, waiting: 0 })
    assert.equal(code(await own.run(job)), 'unavailable')
    assert.equal(await own.adopt(), null)
  })
})

test('says what is missing and what to do about it', async () => {
  const host = await findHost(['/nowhere'])
  assert.match('lacks' in host ? host.lacks : '', /Install the package `bubblewrap`, or use Docker/)
})
