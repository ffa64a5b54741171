"""An example: makes a profile out of a user's id and has another skill judge the address. Put your own directory in `look_up`."""

import re

KNOWN = {
    "u-1": {"name": "Ada Lovelace", "email": "ada@example.com"},
    "u-2": {"name": "Alan Turing", "email": "alan@example.com"},
}


def look_up(user_id):
    """Of those above; else what the id itself tells, at a domain that is nobody's (RFC 2606)."""
    if user_id in KNOWN:
        return dict(KNOWN[user_id])
    words = re.findall(r"[^\W\d_]+", user_id.split("@")[0]) or ["unknown"]
    local = ".".join(words).lower().encode("ascii", "ignore").decode().strip(".") or "unknown"
    return {"name": " ".join(word.capitalize() for word in words), "email": user_id if "@" in user_id else f"{local}@example.com"}


def run(input, ctx):
    profile = look_up(input["userId"])
    judged = ctx.call("email-validator", {"email": profile["email"]})
    if judged["valid"]:
        profile["email"] = judged["normalized"]
    else:
        ctx.log(f"no address for this user: {judged['reason']}")
        del profile["email"]
    return {"profile": profile}
