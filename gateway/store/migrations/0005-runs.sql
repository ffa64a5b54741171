-- Runs of skills. `open` is 1 until a run is final. A key that was given back is the run's own id.
CREATE TABLE run (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  skill TEXT NOT NULL,
  asked TEXT,
  version TEXT,
  caller TEXT NOT NULL,
  effect TEXT NOT NULL,
  status TEXT NOT NULL,
  open INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  timeout_ms INTEGER,
  traceparent TEXT,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX run_key ON run (tenant, key);
CREATE INDEX run_open ON run (seq) WHERE open = 1;
CREATE INDEX run_skill ON run (tenant, skill, seq);

-- Apart from its row, so that a change of status does not write input and output again.
CREATE TABLE run_content (
  seq INTEGER PRIMARY KEY,
  input TEXT NOT NULL,
  outcome TEXT,
  logs TEXT NOT NULL DEFAULT ''
) STRICT;
