-- What became of a part after it was sent, how often that was asked, and parts that answer no message: `session` 0, `message` ''.

ALTER TABLE outbox ADD COLUMN done_at INTEGER;
ALTER TABLE outbox ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN news TEXT;
CREATE INDEX outbox_platform ON outbox (channel, platform_id) WHERE platform_id IS NOT NULL;
CREATE INDEX outbox_posted ON outbox (seq) WHERE session = 0;
