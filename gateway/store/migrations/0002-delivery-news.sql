-- What the platform says later of a part is found by the platform's id.
CREATE INDEX outbox_platform ON outbox (channel, platform_id) WHERE platform_id IS NOT NULL;
