-- Webhooks: who is told, what happened, and what became of telling it. `open` is 1 until a delivery is final.

CREATE TABLE webhook (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  url TEXT NOT NULL,
  description TEXT,
  events TEXT NOT NULL,
  ordering TEXT NOT NULL,
  -- Newest first; sealed by the gateway, which alone can open them.
  secrets TEXT NOT NULL,
  status TEXT NOT NULL,
  disabled_reason TEXT,
  -- Since when nothing but failures came, how many, and the last percentage of the way to being disabled that was told.
  failing_since INTEGER,
  failures INTEGER NOT NULL DEFAULT 0,
  warned INTEGER NOT NULL DEFAULT 0,
  version INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_tenant ON webhook (tenant, seq);

CREATE TABLE webhook_event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  data TEXT NOT NULL
) STRICT;

-- single: one attempt that somebody asked for; it counts for no streak, and waits for no order.
CREATE TABLE webhook_delivery (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  webhook INTEGER NOT NULL,
  event INTEGER NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  open INTEGER NOT NULL,
  single INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  done_at INTEGER
) STRICT;
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook, single, due_at, seq) WHERE open = 1;
CREATE INDEX webhook_delivery_first ON webhook_delivery (webhook, single, seq) WHERE open = 1;
CREATE INDEX webhook_delivery_log ON webhook_delivery (webhook, seq);
CREATE INDEX webhook_delivery_event ON webhook_delivery (event);

-- number grows over all attempts of a delivery, also when it was brought back and counts from 1 again.
CREATE TABLE webhook_attempt (
  delivery INTEGER NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  latency_ms INTEGER NOT NULL,
  status INTEGER,
  error_code TEXT,
  error_message TEXT,
  request_headers TEXT NOT NULL,
  response TEXT,
  response_cut INTEGER NOT NULL,
  PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;
