"""The receivers' helper for Python: every vector, replays, threads. Run by python.test.ts."""

import hashlib
import hmac
import json
import pathlib
import sys
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "sdk" / "webhooks" / "python"))

from openclaw import webhooks  # noqa: E402

VECTORS = json.loads((ROOT / "sdk" / "webhooks" / "vectors.json").read_text("utf-8"))
REQUESTS = [each for each in VECTORS["requests"] if each["scheme"] in ("standard", "openclaw")]
GIVEN = next(each for each in REQUESTS if each["name"] == "openclaw: ours, with both signatures")


def verify(request, store=None, **over):
    given = {**request, **over}
    return webhooks.verify(
        given["body"].encode(),
        given["headers"],
        given["secret"],
        nonce_store=store or webhooks.MemoryNonceStore(),
        now=lambda: given["now"],
    )


class Vectors(unittest.TestCase):
    def test_every_vector(self):
        for request in REQUESTS:
            with self.subTest(request["name"]):
                if request["accepted"]:
                    self.assertEqual(verify(request), json.loads(request["body"]) if request["body"] else None)
                else:
                    with self.assertRaises(webhooks.SignatureVerificationError) as caught:
                        verify(request)
                    self.assertEqual(caught.exception.reason, request["reason"])
        self.assertGreater(len(REQUESTS), 50)


class Replay(unittest.TestCase):
    def refused(self, reason, run):
        with self.assertRaises(webhooks.SignatureVerificationError) as caught:
            run()
        self.assertEqual(caught.exception.reason, reason)

    def test_the_same_request_is_taken_once_in_either_signature(self):
        for family in ("x-openclaw-", "webhook-"):
            headers = {name: value for name, value in GIVEN["headers"].items() if name.startswith(family)}
            store = webhooks.MemoryNonceStore(now=lambda: GIVEN["now"])
            verify(GIVEN, store, headers=headers)
            self.refused("replayed", lambda: verify(GIVEN, store, headers=headers))

    def test_what_was_taken_by_one_signature_is_not_taken_again_by_the_other(self):
        # Whoever has seen a delivery has both, and may leave one away.
        for first, then in (("x-openclaw-", "webhook-"), ("webhook-", "x-openclaw-"), ("nothing", "x-openclaw-")):
            store = webhooks.MemoryNonceStore(now=lambda: GIVEN["now"])
            left = lambda away: {name: value for name, value in GIVEN["headers"].items() if not name.startswith(away)}  # noqa: E731
            verify(GIVEN, store, headers=left(first))
            self.refused("replayed", lambda: verify(GIVEN, store, headers=left(then)))

    def test_what_does_not_verify_uses_up_no_nonce(self):
        store = webhooks.MemoryNonceStore(now=lambda: GIVEN["now"])
        self.refused("no_match", lambda: verify(GIVEN, store, body=GIVEN["body"] + " "))
        verify(GIVEN, store)

    def test_without_a_store_a_replay_in_the_same_process_is_seen(self):
        # The clock of the default store is the real one, so the time of signing has to be far ahead of it.
        now = 4_000_000_000
        body, nonce = b"{}", "ab" * 16
        signature = hmac.new(b"a secret of some length", body + str(now).encode() + nonce.encode(), hashlib.sha256).hexdigest()
        headers = {"X-OpenClaw-Signature": signature, "X-OpenClaw-Timestamp": str(now), "X-OpenClaw-Nonce": nonce}
        run = lambda: webhooks.verify(body, headers, "a secret of some length", now=lambda: now)  # noqa: E731
        self.assertEqual(run(), {})
        self.refused("replayed", run)

    def test_a_request_is_remembered_as_long_as_its_time_would_do(self):
        clock = [GIVEN["now"] - 300]
        store = webhooks.MemoryNonceStore(now=lambda: clock[0])
        verify(GIVEN, store, now=clock[0])
        clock[0] = GIVEN["now"] + 300
        self.refused("replayed", lambda: verify(GIVEN, store, now=clock[0]))

    def test_of_two_threads_only_one_is_in_the_store(self):
        meeting, met = threading.Barrier(2), []

        def now():
            # Two that look at the same time would meet here.
            try:
                meeting.wait(0.3)
                met.append(True)
            except threading.BrokenBarrierError:
                pass
            return 0.0

        store, won = webhooks.MemoryNonceStore(now=now), []
        threads = [threading.Thread(target=lambda: won.append(store.insert("once", 1))) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(10)
        self.assertEqual(met, [])
        self.assertEqual(sorted(won), [False, True])

    def test_the_store_keeps_to_its_bound_and_forgets_what_is_over(self):
        clock = [0]
        store = webhooks.MemoryNonceStore(2, now=lambda: clock[0])
        self.assertEqual([store.insert(*each) for each in (("a", 10), ("a", 10), ("b", 20), ("c", 30))], [True, False, True, True])
        self.assertFalse(store.insert("b", 20))
        self.assertTrue(store.insert("a", 10))
        clock[0] = 30
        self.assertTrue(store.insert("c", 60))

    def test_a_secret_that_is_not_set_opens_nothing(self):
        for secret in (None, [None], []):
            self.refused("secret_missing", lambda: verify(GIVEN, secret=secret))

    def test_a_key_of_a_pair_is_no_secret_and_is_told_so(self):
        pair = next(each for each in VECTORS["signing"] if "asymmetric" in each)
        for key in (pair["public_key"], pair["private_key"]):
            nonce = "ab" * 16
            signature = hmac.new(key.encode(), b"{}1700000000" + nonce.encode(), hashlib.sha256).hexdigest()
            headers = {"X-OpenClaw-Signature": signature, "X-OpenClaw-Timestamp": "1700000000", "X-OpenClaw-Nonce": nonce}
            for secret in (key, [GIVEN["secret"][0], key]):
                with self.assertRaises(webhooks.SignatureVerificationError) as caught:
                    verify({"body": "{}", "headers": headers, "secret": secret, "now": 1700000000})
                self.assertEqual(caught.exception.reason, "secret_missing")
                self.assertIn("ed25519", str(caught.exception))

    def test_a_parsed_body_is_refused_with_a_word_on_what_to_do(self):
        with self.assertRaises(webhooks.SignatureVerificationError) as caught:
            webhooks.verify(json.loads(GIVEN["body"]), GIVEN["headers"], GIVEN["secret"])
        self.assertEqual(caught.exception.reason, "raw_body_needed")
        self.assertIn("get_data", str(caught.exception))

    def test_a_body_nested_too_deep_is_a_refusal_and_no_crash(self):
        self.refused("header_missing", lambda: verify(GIVEN, headers={"X-OpenClaw-Signature": "0" * 64}, body="[" * 200_000))


if __name__ == "__main__":
    unittest.main()
