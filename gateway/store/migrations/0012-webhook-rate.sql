-- How many attempts may begin at a webhook within one second; null: as many as there are.
ALTER TABLE webhook ADD COLUMN max_per_second INTEGER;
