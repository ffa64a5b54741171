-- Who changed what: a chain for each tenant (gateway/contract/audit.ts). Entries are never altered, and go only below a seal.
CREATE TABLE audit (
  tenant TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  credential TEXT NOT NULL,
  ip TEXT,
  action TEXT NOT NULL,
  object TEXT,
  outcome TEXT NOT NULL,
  request_id TEXT,
  trace_id TEXT,
  detail TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;

-- One row a tenant: what stands for the entries that retention took away.
CREATE TABLE audit_seal (
  tenant TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  hash TEXT NOT NULL,
  at INTEGER NOT NULL,
  signature TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_is_final BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN NOT EXISTS (SELECT 1 FROM audit_seal s WHERE s.tenant = OLD.tenant AND s.seq >= OLD.seq)
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
