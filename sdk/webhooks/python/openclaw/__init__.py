"""OpenClaw for Python. So far: `openclaw.webhooks`, for receivers of webhooks."""
