-- Pages that signed out before their cookie ran out: it must count nowhere any more, also after a restart.
CREATE TABLE page_session_left (
  id TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
