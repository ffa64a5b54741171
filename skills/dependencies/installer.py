"""
Unpacks the packages of a lock file into /deps, in a container without network and rights. Reads `u32 length, JSON` and then the archives
one after the other from its standard input; writes one line of JSON: {"bytes"} or {"error"}. Runs no code of any package, and makes
regular files only. The digests were compared by the gateway, which alone knows the lock file.
"""
import io, json, os, platform, re, stat, struct, sys, tarfile, unicodedata, zipfile

MAX_FILES, MAX_BYTES = 50_000, 1 << 30
used = {'files': 0, 'bytes': 0}


class Refused(Exception):
    pass


def exactly(stream, count):
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            raise Refused('the input broke off')
        parts.append(part)
        count -= len(part)
    return b''.join(parts)


def place(root, name):
    """Where a member goes; refuses what is absolute, climbs, or could be another name's double."""
    if not name or len(name) > 1000 or name.startswith('/') or '\\' in name or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise Refused('an archive holds a file with the name %r' % name[:100])
    parts = unicodedata.normalize('NFC', name).split('/')
    if any(part in ('', '.', '..') for part in parts):
        raise Refused('an archive holds a file with the name %r' % name[:100])
    return os.path.join(root, *parts)


def write(path, source, runnable=False):
    used['files'] += 1
    if used['files'] > MAX_FILES:
        raise Refused('there are more than %d files' % MAX_FILES)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    # O_EXCL: nothing is written twice, nor through a link.
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755 if runnable else 0o644)
    with os.fdopen(out, 'wb') as file:
        while True:
            part = source.read(1 << 16)
            if not part:
                return
            used['bytes'] += len(part)
            if used['bytes'] > MAX_BYTES:
                raise Refused('they are larger than %d bytes unpacked' % MAX_BYTES)
            file.write(part)


def rank(name):
    """How well a wheel fits this Python, by its tags (PEP 425, 600); None: not at all."""
    match = re.fullmatch(r'[^-]+-[^-]+(?:-\d[^-]*)?-([^-]+)-([^-]+)-([^-]+)\.whl', name)
    if not match:
        return None
    minor = sys.version_info[1]
    best = None
    for python in match.group(1).split('.'):
        for abi in match.group(2).split('.'):
            for system in match.group(3).split('.'):
                if python == 'cp3%d' % minor and abi in ('cp3%d' % minor, 'abi3', 'none'):
                    score = {'none': 2}.get(abi, 4)
                elif abi == 'abi3' and re.fullmatch(r'cp3\d+', python) and int(python[3:]) <= minor:
                    score = 3
                elif abi == 'none' and re.fullmatch(r'py3\d*', python) and int(python[3:] or 0) <= minor:
                    score = 1
                else:
                    continue
                if runs_here(system) and (best is None or score > best):
                    best = score
    return best


def runs_here(system):
    machine = platform.machine()
    if system in ('any', 'linux_' + machine):
        return True
    old = {'manylinux1': (2, 5), 'manylinux2010': (2, 12), 'manylinux2014': (2, 17)}
    match = re.fullmatch(r'(manylinux\d+|manylinux_(\d+)_(\d+))_' + re.escape(machine), system)
    if not match:
        return False
    needs = (int(match.group(2)), int(match.group(3))) if match.group(2) else old.get(match.group(1))
    has = re.fullmatch(r'glibc (\d+)\.(\d+).*', os.confstr('CS_GNU_LIBC_VERSION') or '')
    return needs is not None and has is not None and (int(has.group(1)), int(has.group(2))) >= needs


def wheel(data, root):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or member.flag_bits & 1:
                raise Refused('an archive holds what is no plain file: %r' % member.filename[:100])
            name = member.filename
            data_part = re.match(r'[^/]+\.data/([^/]+)/(.+)', name)
            if data_part:
                # Scripts and headers are for other uses; the two libraries are the package.
                if data_part.group(1) not in ('purelib', 'platlib'):
                    continue
                name = data_part.group(2)
            with archive.open(member) as source:
                write(place(root, name), source, bool(mode & 0o100))


def tarball(data, root):
    with tarfile.open(fileobj=io.BytesIO(data), mode='r|gz') as archive:
        for member in archive:
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise Refused('an archive holds what is no plain file: %r' % member.name[:100])
            # The first folder is the package, whatever its name.
            _, slash, name = member.name.partition('/')
            if not slash:
                raise Refused('an archive holds a file outside its package: %r' % member.name[:100])
            write(place(root, name), archive.extractfile(member), bool(member.mode & 0o100))


def install(stream, root):
    told = json.loads(exactly(stream, struct.unpack('>I', exactly(stream, 4))[0]))
    if told['language'] == 'python':
        chosen = {}
        for item in told['archives']:
            data, score = exactly(stream, item['size']), rank(item['file'])
            if score is not None and score > chosen.get(item['name'], (0, b''))[0]:
                chosen[item['name']] = (score, data)
        for item in told['archives']:
            if item['name'] not in chosen:
                raise Refused('no wheel of %s fits Python 3.%d on %s' % (item['name'], sys.version_info[1], platform.machine()))
        for name, (_, data) in sorted(chosen.items()):
            try:
                wheel(data, root)
            except FileExistsError as error:
                raise Refused('%s brings a file that another package brings too' % name) from error
        return
    for item in told['archives']:
        tarball(exactly(stream, item['size']), place(root, item['path']))


def main():
    os.umask(0o022)
    try:
        install(sys.stdin.buffer, '/deps')
        answer = {'bytes': used['bytes']}
    except Refused as error:
        answer = {'error': str(error)}
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, ValueError, KeyError, OSError) as error:
        answer = {'error': 'an archive cannot be read: %s' % type(error).__name__}
    sys.stdout.write(json.dumps(answer) + '\n')
    sys.stdout.flush()


main()
