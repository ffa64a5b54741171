-- What was changed over the API of the configuration (gateway/contract/store/overlay.ts). Laid over openclaw.yaml, which stays as it is.
CREATE TABLE overlay (
  path TEXT PRIMARY KEY,
  value TEXT NOT NULL,
  by TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
