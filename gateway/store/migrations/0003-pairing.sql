-- Strangers who were given a code: open, denied or used, until it expires.
CREATE TABLE pairing (
  channel TEXT NOT NULL,
  code TEXT NOT NULL,
  sender TEXT NOT NULL,
  aliases TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  notice TEXT NOT NULL,
  noticed_at INTEGER,
  PRIMARY KEY (channel, code)
) STRICT, WITHOUT ROWID;

-- Senders who were let in.
CREATE TABLE access_grant (
  channel TEXT NOT NULL,
  sender TEXT NOT NULL,
  aliases TEXT NOT NULL,
  since INTEGER NOT NULL,
  granted_by TEXT NOT NULL,
  PRIMARY KEY (channel, sender)
) STRICT, WITHOUT ROWID;
