/** Attacks by the network. `OUTSIDE` is a listener on this machine, on an address that a container with a network reaches. */
import type { Attack } from './attack.ts'

const connects = `
import socket
def attack(arg):
    try:
        with socket.create_connection((arg['host'], arg['port']), timeout=2) as connection:
            connection.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
            return connection.recv(16) != b''
    except OSError:
        return False
`

export const NETWORK: readonly Attack[] = [
  { name: 'connects to a port of the host', code: connects, arg: 'OUTSIDE', held: ['nothing'], control: 'worked' },
  {
    name: 'sends a datagram',
    code: `
import socket
def attack(arg):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', (arg['host'], 53))
        return True
    except OSError:
        return False
`,
    arg: 'OUTSIDE',
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'asks for the metadata of the machine',
    code: `
import socket
def attack(arg):
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(('169.254.169.254', 80))
        return True
    except OSError:
        return False
`,
    held: ['nothing'],
    control: 'worked',
  },
  {
    name: 'asks a name server',
    code: `
import socket
def attack(arg):
    query = b'\\x12\\x34\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x07example\\x03com\\x00\\x00\\x01\\x00\\x01'
    for line in open('/etc/resolv.conf').read().split() + ['8.8.8.8']:
        if line[:1].isdigit():
            try:
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(query, (line, 53))
                return True
            except OSError:
                continue
    return False
`,
    held: ['nothing', 'crashed'],
    control: 'worked',
  },
  {
    name: 'finds an interface beside loopback',
    code: `
import socket
def attack(arg):
    return any(name != 'lo' for _, name in socket.if_nameindex())
`,
    held: ['nothing'],
    control: 'worked',
  },
]
