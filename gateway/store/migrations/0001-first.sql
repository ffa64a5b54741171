-- Everything that must survive. Times are epoch milliseconds, JSON is text. `open` is 1 until a row is final: a column
-- of its own, so that a change of status leaves the partial indices alone.

CREATE TABLE session (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  agent TEXT NOT NULL,
  channel TEXT NOT NULL,
  account TEXT NOT NULL,
  peer_kind TEXT NOT NULL,
  peer TEXT NOT NULL,
  thread TEXT,
  fence INTEGER NOT NULL DEFAULT 0,
  owner TEXT NOT NULL DEFAULT '',
  lease_until INTEGER NOT NULL DEFAULT 0,
  -- The unfinished turn.
  turn TEXT,
  -- Number of the next message; those from floor_seq on are its memory.
  next_seq INTEGER NOT NULL DEFAULT 1,
  floor_seq INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- void: said in a turn that was given up; kept, and no memory.
CREATE TABLE session_message (
  session INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  turn TEXT NOT NULL,
  at INTEGER NOT NULL,
  void INTEGER NOT NULL DEFAULT 0,
  content TEXT NOT NULL,
  PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

-- What stands for the memory before floor_seq.
CREATE TABLE summary (
  session INTEGER PRIMARY KEY,
  text TEXT NOT NULL
) STRICT;

CREATE TABLE inbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL,
  open INTEGER NOT NULL,
  channel TEXT NOT NULL,
  agent TEXT,
  session INTEGER,
  turn TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER,
  reason_code TEXT,
  reason_message TEXT,
  accepted_at INTEGER NOT NULL,
  done_at INTEGER,
  lane TEXT NOT NULL,
  dedupe_key TEXT,
  fingerprint TEXT
) STRICT;
CREATE UNIQUE INDEX inbox_dedupe ON inbox (channel, dedupe_key) WHERE dedupe_key IS NOT NULL;
CREATE INDEX inbox_queue ON inbox (session, seq) WHERE open = 1;
CREATE INDEX inbox_open ON inbox (seq) WHERE open = 1;

-- Apart from its row, so that a change of status does not write the message again.
CREATE TABLE inbox_content (
  seq INTEGER PRIMARY KEY,
  envelope TEXT NOT NULL,
  reply TEXT NOT NULL
) STRICT;

CREATE TABLE turn (
  id TEXT PRIMARY KEY,
  session INTEGER NOT NULL,
  status TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  -- 1: its last attempt failed, and the next one counts.
  failed INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER,
  -- The session's messages before this number were there before it.
  base_seq INTEGER NOT NULL,
  -- Numbers of its inbox rows; the first `initial` of them began it, the others joined.
  messages TEXT NOT NULL,
  initial INTEGER NOT NULL,
  -- Its outbox rows stand together from this number on.
  first_reply INTEGER NOT NULL DEFAULT 0,
  replies INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE step (
  seq INTEGER PRIMARY KEY,
  turn TEXT NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  effect TEXT NOT NULL,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  request_hash TEXT,
  started_at INTEGER,
  done_at INTEGER,
  joined TEXT,
  usage TEXT,
  input TEXT NOT NULL,
  result TEXT,
  UNIQUE (turn, key)
) STRICT;

CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL,
  open INTEGER NOT NULL,
  channel TEXT NOT NULL,
  lane TEXT NOT NULL,
  session INTEGER NOT NULL,
  message TEXT NOT NULL,
  part INTEGER NOT NULL,
  parts INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL,
  platform_id TEXT,
  error_code TEXT,
  error_message TEXT,
  created_at INTEGER NOT NULL,
  address TEXT NOT NULL,
  rendered TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_lane ON outbox (channel, lane, seq);
CREATE INDEX outbox_open ON outbox (channel, lane, seq) WHERE open = 1;

CREATE TABLE dead_letter (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  ref TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'open',
  channel TEXT NOT NULL,
  session TEXT,
  reason_code TEXT NOT NULL,
  reason_message TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  settled_at INTEGER,
  content TEXT NOT NULL,
  origin TEXT
) STRICT;
CREATE INDEX dead_letter_ref ON dead_letter (ref);
CREATE INDEX dead_letter_open ON dead_letter (created_at) WHERE status = 'open';

CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  last_used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  declaration TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  answer TEXT,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_expiry ON idempotency (expires_at);
CREATE INDEX idempotency_unfinished ON idempotency (key) WHERE answer IS NULL;

CREATE TABLE channel_state (
  channel TEXT NOT NULL,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (channel, key)
) STRICT, WITHOUT ROWID;

-- One row that is written to find out whether writing works.
CREATE TABLE probe (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  tries INTEGER NOT NULL
) STRICT;
INSERT INTO probe (id, tries) VALUES (1, 0);
