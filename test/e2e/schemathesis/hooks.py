"""Beside schemathesis' own checks: what may be refused although it fits the schema.

RFC 9110 section 15.5.21 has 422 for what is well formed and still cannot be done, so the check `positive_data_acceptance` is told to take
400 and 422, and this one is stricter: only the reasons below, none of which a schema can state, may stand in such an answer.
"""

import schemathesis

BEYOND_SCHEMAS = {
    # Names such as __proto__, depth and number of members, the same in every body.
    "JSON_REFUSED",
    # Signed by the gateway, for one list and one filter.
    "INVALID_CURSOR",
    # The header and the body, or this request and one before it.
    "IDEMPOTENCY_KEY_MISMATCH",
    "IDEMPOTENCY_KEY_REUSED",
    # Names of things that there are not, or that cannot do it.
    "ROLE_UNKNOWN",
    "ISSUER_UNKNOWN",
    "CHANNEL_COLLECTED",
    # Inputs that the skill describes, not the gateway.
    "SKILL_INVALID_INPUT",
    # Times that are over.
    "KEY_EXPIRES_TOO_SOON",
    # Addresses, looked up in the DNS.
    "URL_NOT_ALLOWED",
    # Base64 of so many bytes, on the last bit: a pattern could say it, and nobody could read what it says.
    "WEBHOOK_SECRET_INVALID",
    # Documents with a language of their own (`openclaw skills check`).
    "SKILL_INVALID",
    "AGENT_INVALID",
    # The configuration as a whole: names in it of agents and channels that there are not.
    "CONFIG_CHANGE_INVALID",
    # OpenAI's own rules of what goes with what in a conversation.
    "invalid_value",
    "unsupported_parameter",
}


@schemathesis.check
def refusal_beyond_schemas(ctx, response, case):
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code not in (400, 422):
        return
    body = response.json()
    # The OpenAI-compatible routes answer as OpenAI does.
    code = body.get("code") or body.get("error", {}).get("code")
    assert code in BEYOND_SCHEMAS, f"what fits the schema was refused as {code}: {response.text}"
