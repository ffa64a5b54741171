-- Keys with roles, whom they were made by, and a secret before the last that still counts for a while.
ALTER TABLE api_key ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_key ADD COLUMN created_by TEXT;
ALTER TABLE api_key ADD COLUMN previous_hash TEXT;
ALTER TABLE api_key ADD COLUMN previous_until INTEGER;

-- Roles made over the API.
CREATE TABLE role (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  permissions TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- Tokens that were called back: one by its id (`jti`), or all of a subject issued until `not_before`.
CREATE TABLE revocation (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  issuer TEXT NOT NULL,
  jti TEXT,
  subject TEXT,
  not_before INTEGER,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revocation_end ON revocation (expires_at);
