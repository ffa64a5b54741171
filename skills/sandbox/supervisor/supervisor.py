"""
Runs skills inside a sandbox: PID 1 there. Told by the gateway over its standard input and output what to run (`keeper.py`). Python 3.9 or newer
without packages. Makes no sandbox: namespaces, limits of the whole and the filter of system calls are given by whoever starts it.

supervisor.py --language python|node|shell [--work DIR] [--egress SOCKET] [--owner]
  --owner: the process namespace and DIR are ours alone. Without it (tests of the wire) only the call's own process group is ended.

First of all it starts the process that will run the first call: an interpreter takes longer to come up than we do, and has that time while we load.
"""
import os
import resource
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from process import hide, plain, waiting

OPEN_FILES = 256


def main(args):
    given = dict(zip(args, args[1:]))
    language, work, egress = given.get('--language', 'python'), given.get('--work', '/tmp'), given.get('--egress')
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    os.umask(0o077)
    # One that has a way out is told of it when it is started, and that is not there yet.
    child = waiting(language, plain(work), work) if language != 'shell' and egress is None else None
    hide()

    import signal

    from keeper import Keeper

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    keeper = Keeper(language, work, egress, '--owner' in args, child)
    try:
        keeper.go()
    finally:
        keeper.house.kill(signal.SIGKILL)


if __name__ == '__main__':
    main(sys.argv[1:])
