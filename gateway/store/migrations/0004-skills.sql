-- Registered skills: one row a version, never altered but for what operators say about it.
CREATE TABLE skill (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  version TEXT NOT NULL,
  digest TEXT NOT NULL,
  descriptor TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  deprecated TEXT,
  signature TEXT,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (tenant, id, version)
) STRICT;
CREATE INDEX skill_digest ON skill (digest);

-- Their files, packed; versions with the same digest share them.
CREATE TABLE skill_bundle (
  digest TEXT PRIMARY KEY,
  content BLOB NOT NULL
) STRICT;

-- Which version the calls of a major get.
CREATE TABLE skill_track (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  major INTEGER NOT NULL,
  stable TEXT NOT NULL,
  previous TEXT,
  canary TEXT,
  weight INTEGER NOT NULL,
  note TEXT,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, id, major)
) STRICT, WITHOUT ROWID;
