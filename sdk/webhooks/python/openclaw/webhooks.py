"""For receivers of OpenClaw's webhooks: is this request from the gateway, of now, and not one that came before?

Needs Python 3.9 or newer and nothing else; take the file into your project.
`sdk/webhooks/vectors.json` says what it has to accept and refuse, in every language.

    event = openclaw.webhooks.verify(request.get_data(), request.headers, secret)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections import OrderedDict
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Union

__all__ = ["MemoryNonceStore", "SignatureVerificationError", "verify"]


class SignatureVerificationError(Exception):
    """`reason` is one of: raw_body_needed, secret_missing (mistakes of the program), header_missing,
    header_malformed, too_old, too_new, no_match, replayed, body_unreadable (faults of the request)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class MemoryNonceStore:
    """Remembers so many requests; what expires first is forgotten first. Only requests that were signed get here."""

    def __init__(self, max_size: int = 100_000, now: Callable[[], float] = time.time) -> None:
        self._max_size = max_size
        self._now = now
        self._expiries: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def insert(self, nonce: str, expires_at: float) -> bool:
        """True if it was not there yet and is now, in one step. It may be forgotten at `expires_at` (epoch seconds)."""
        with self._lock:
            now = self._now()
            expiry = self._expiries.get(nonce)
            if expiry is not None and expiry > now:
                return False
            self._expiries.pop(nonce, None)
            while self._expiries:
                oldest = next(iter(self._expiries))
                if self._expiries[oldest] > now and len(self._expiries) < self._max_size:
                    break
                del self._expiries[oldest]
            self._expiries[nonce] = expires_at
            return True


# Of all who give none.
_nonces = MemoryNonceStore()


def verify(
    raw_body: Union[bytes, bytearray, memoryview, str],
    headers: Mapping[str, str],
    secret: Union[str, Sequence[str]],
    tolerance: int = 300,
    nonce_store: Optional[Any] = None,
    *,
    now: Callable[[], float] = time.time,
) -> Any:
    """Returns the event, None for an empty body. Its `id` is the same whenever it comes again: dedupe by it.

    `secret`: one, or several while it is being changed. Signatures by a key pair (`v1a`) are passed over: ed25519 is not in
    the standard library, and each delivery has one by HMAC as well. `tolerance`: seconds by which a request may be older or newer than
    now. `nonce_store`: which requests came before, anything with `insert` as `MemoryNonceStore` has it; where several
    processes receive, give one that they share. Raises SignatureVerificationError.

    Checked in this order: shape of the headers, time, signature over the very bytes, and only then whether it came before.
    """
    if not isinstance(raw_body, (bytes, bytearray, memoryview, str)):
        raise SignatureVerificationError(
            "raw_body_needed",
            "The body was parsed already, and the signature is over its bytes. Verify before parsing: "
            "request.get_data() in Flask, request.body in Django, await request.body() in FastAPI.",
        )
    # An environment variable that is not set is None.
    secrets = [secret] if secret is None or isinstance(secret, str) else list(secret)
    if not secrets or not all(isinstance(each, str) and each.strip() and _standard_key(each) for each in secrets):
        raise SignatureVerificationError(
            "secret_missing", "A secret is missing, blank, or has no base64 behind `whsec_`."
        )
    # Everybody may have a public key: as a key of HMAC it would let everybody sign.
    if any(each.startswith(("whpk_", "whsk_")) for each in secrets):
        raise SignatureVerificationError(
            "secret_missing",
            "A key of a pair is no secret, and ed25519 is not in Python's standard library: give the webhook's whsec_.",
        )
    body = raw_body.encode() if isinstance(raw_body, str) else bytes(raw_body)
    claim = _claim_of(body, {name.lower(): value for name, value in headers.items()})
    age = int(now()) - claim.timestamp
    if age > tolerance:
        raise SignatureVerificationError("too_old", f"It was signed more than {tolerance} seconds ago.")
    if -age > tolerance:
        raise SignatureVerificationError("too_new", f"It is signed for more than {tolerance} seconds from now.")
    if not any([_fits(claim, each) for each in secrets]):
        raise SignatureVerificationError(
            "no_match", "No signature fits. Is it the secret of this webhook, and the body as it came?"
        )
    store = _nonces if nonce_store is None else nonce_store
    if not store.insert(claim.nonce(), claim.timestamp + tolerance + 1):
        raise SignatureVerificationError("replayed", "This very request came before.")
    if not body:
        return None
    try:
        return _parse(body)
    except (ValueError, RecursionError) as error:
        raise SignatureVerificationError("body_unreadable", "The body is signed, and is no JSON.") from error


class _Claim(NamedTuple):
    timestamp: int
    # Asked for when the signature fits: it may look into the body.
    nonce: Callable[[], str]
    signatures: list[bytes]
    message: bytes
    key_of: Callable[[str], bytes]


_SECONDS = re.compile(r"[0-9]{10}")
_NONCE = re.compile(r"[0-9a-f]{32}")
# Without a full stop, which is what the signed parts are joined by.
_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,255}")
# Some proxies and libraries name the hash before it, as GitHub does.
_HEX = re.compile(r"(?:sha256=)?[0-9a-f]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=")
_KEY = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def _claim_of(body: bytes, headers: Mapping[str, str]) -> _Claim:
    own = headers.get("x-openclaw-signature")
    if own is not None:
        if "x-openclaw-timestamp" in headers:
            timestamp, nonce = headers["x-openclaw-timestamp"], headers.get("x-openclaw-nonce")
        else:
            timestamp, nonce = _stated_in(body)
        if timestamp is None or nonce is None:
            raise _missing("a timestamp and a nonce, in headers or body")
        signatures = [one[-64:] for one in re.split(r", ?", own) if _HEX.fullmatch(one)]
        if not signatures or not _SECONDS.fullmatch(timestamp) or not _NONCE.fullmatch(nonce):
            raise _malformed("X-OpenClaw-*")
        return _Claim(
            timestamp=int(timestamp),
            nonce=lambda: f"openclaw:{nonce}",
            signatures=[bytes.fromhex(one) for one in signatures],
            message=body + timestamp.encode() + nonce.encode(),
            key_of=str.encode,
        )
    identity, timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp")
    signature = headers.get("webhook-signature")
    if identity is None or timestamp is None or signature is None:
        raise _missing("X-OpenClaw-Signature, or webhook-id, webhook-timestamp and webhook-signature")
    signatures = [one[3:] for one in signature.split(" ") if one.startswith("v1,") and _BASE64.fullmatch(one[3:])]
    if not signatures or not _SECONDS.fullmatch(timestamp) or not _ID.fullmatch(identity):
        raise _malformed("webhook-*")
    return _Claim(
        timestamp=int(timestamp),
        nonce=lambda: _standard_nonce(body, identity, timestamp),
        signatures=[base64.b64decode(one) for one in signatures],
        message=f"{identity}.{timestamp}.".encode() + body,
        key_of=_standard_key,
    )


def _standard_nonce(body: bytes, identity: str, timestamp: str) -> str:
    stated, nonce = _stated_in(body)
    # The gateway signs twice: whoever leaves one signature away sends the same request, not another.
    if stated == timestamp and nonce is not None and _NONCE.fullmatch(nonce):
        return f"openclaw:{nonce}"
    # The id stays when an event is sent again, with another time.
    return f"standard:{identity}.{timestamp}"


def _stated_in(body: bytes) -> tuple[Optional[str], Optional[str]]:
    try:
        event = _parse(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(event, dict):
        return None, None
    timestamp, nonce = event.get("timestamp"), event.get("nonce")
    is_number = isinstance(timestamp, int) and not isinstance(timestamp, bool)
    return (str(timestamp) if is_number else None, nonce if isinstance(nonce, str) else None)


def _standard_key(secret: str) -> bytes:
    """Standard Webhooks encodes its key; without the prefix the secret is the key."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    encoded = secret[len("whsec_") :]
    if not _KEY.fullmatch(encoded):
        return b""
    try:
        return base64.b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4))
    except ValueError:
        return b""


def _fits(claim: _Claim, secret: str) -> bool:
    expected = hmac.new(claim.key_of(secret), claim.message, hashlib.sha256).digest()
    return any([hmac.compare_digest(expected, given) for given in claim.signatures])


def _parse(body: bytes) -> Any:
    return json.loads(body.decode("utf-8"), parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _missing(what: str) -> SignatureVerificationError:
    return SignatureVerificationError("header_missing", f"It is not signed: there is no {what}.")


def _malformed(which: str) -> SignatureVerificationError:
    return SignatureVerificationError("header_malformed", f"A header {which} is not of its form.")
