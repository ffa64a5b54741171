-- When a letter that was asked for together with others is to be brought back; null: nobody asked.
ALTER TABLE dead_letter ADD COLUMN replay_at INTEGER;
CREATE INDEX dead_letter_planned ON dead_letter (replay_at) WHERE status = 'open' AND replay_at IS NOT NULL;
-- Of one tenant the open ones, by their running number.
CREATE INDEX dead_letter_open_of ON dead_letter (tenant) WHERE status = 'open';
