-- When a letter that was asked for together with others is to be brought back; null: nobody asked.
ALTER TABLE dead_letter ADD COLUMN replay_at INTEGER;
CREATE INDEX dead_letter_planned ON dead_letter (replay_at) WHERE status = 'open' AND replay_at IS NOT NULL;
-- Of one tenant the open ones, by their running number.
CREATE INDEX dead_letter_open_of ON dead_letter (tenant) WHERE status = 'open';

-- Sessions that were deleted, until nothing of them is left. The inbox is looked through up to `done_to`.
CREATE TABLE erasure (
  session INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  tenant TEXT NOT NULL,
  done_to INTEGER NOT NULL DEFAULT 0
) STRICT;
