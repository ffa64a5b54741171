"""Which frames there are, and how long they may be: the same table as `skills/sandbox/frame.ts`, which says what they mean."""
import struct

GREETING, MARK_BYTES, HEADER = b'\0openclaw\0skill\0', 16, struct.Struct('>IBI')
HELLO, LOAD, INVOKE, CANCEL, RETURNED, ACK, PING, BYE = range(1, 9)
READY, LOADED, PROGRESS, LOG, RESULT, ERROR, IDLE, CALL, PONG = range(65, 74)
SMALL, MEGA = 65_536, 1_048_576
BOUNDS = {LOAD: 8 * MEGA, INVOKE: MEGA + SMALL, RETURNED: MEGA + SMALL, CALL: MEGA + SMALL, RESULT: MEGA, PROGRESS: 16_384}
