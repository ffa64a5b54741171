-- What led to an event: W3C traceparent, so that telling it belongs to the same trace.
ALTER TABLE webhook_event ADD COLUMN traceparent TEXT;
