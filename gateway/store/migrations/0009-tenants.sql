-- Whose each row is. What stands here already is the operator's. The lists of one tenant walk its own rows only: in these indices the
-- running number follows the tenant by itself, being the rowid.

ALTER TABLE session ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
ALTER TABLE inbox ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
ALTER TABLE outbox ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
ALTER TABLE dead_letter ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
ALTER TABLE api_key ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
UPDATE dead_letter SET tenant = coalesce((SELECT r.tenant FROM run r WHERE r.id = dead_letter.ref), tenant) WHERE kind = 'run';

CREATE INDEX session_tenant ON session (tenant);
CREATE INDEX inbox_tenant ON inbox (tenant);
CREATE INDEX dead_letter_tenant ON dead_letter (tenant);
CREATE INDEX run_tenant ON run (tenant, seq);

-- A name is unique in its tenant, and no more in the whole gateway.
CREATE TABLE tenant_agent (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  declaration TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (tenant, name)
) STRICT, WITHOUT ROWID;
INSERT INTO tenant_agent (id, tenant, name, declaration, created_at) SELECT id, 'default', name, declaration, created_at FROM agent;
DROP TABLE agent;
ALTER TABLE tenant_agent RENAME TO agent;
