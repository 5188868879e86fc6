"""A small Stripe: its HTTP API as far as the adapter uses it, in the newest shapes, on loopback.

`fake_stripe_books` holds the objects and what each endpoint does; `fake_stripe_world` is what happens
outside (payers, banks, the dashboard); this is the wire: keys, form encoding, lists, expansion,
idempotency, errors, and signed events.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.billing.fake_stripe_books import Books
from tests.billing.fake_stripe_parts import Refusal
from tests.billing.fake_stripe_world import World

SECRET_KEY = "sk_test_a_key_that_nobody_may_read_4242"
WEBHOOK_SECRET = "whsec_of_the_fake_with_many_letters"
DEEPEST = 4


class FakeStripe(World):
    """The server, its books and its verbs."""

    def __init__(self) -> None:
        super().__init__(Books())
        self.calls: list[tuple[str, str, dict[str, Any]]] = []  # method, path, parameters
        self.faults: list[Callable[[], tuple[int, dict[str, str]] | None]] = []
        self.lost: list[bool] = []  # whether the next answers are worked out and not sent
        self._remembered: dict[str, tuple[tuple[str, str, str], int, Any]] = {}
        self.address = ""

    def forget(self) -> None:
        """Begin anew, with nothing bought and nothing wrong."""
        with self.lock:
            self.books, self.faults, self.lost, self.calls = Books(), [], [], []
            self._remembered.clear()

    # --- failing --------------------------------------------------------------------------------
    def fail(self, status: int, *, times: int = 1, **headers: str) -> None:
        """Answer the next requests with an error, doing nothing."""
        self.faults += [lambda: (status, headers)] * times

    # --- telling --------------------------------------------------------------------------------
    def sign(
        self, body: bytes, *, secret: str = WEBHOOK_SECRET, at: int | None = None, more: str = ""
    ) -> dict[str, str]:
        """The headers of a webhook call; ``more`` is put before the signature."""
        at = int(time.time()) if at is None else at
        mac = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
        return {"Stripe-Signature": f"t={at},{more}v1={mac}", "Content-Type": "application/json"}

    def deliver(self, client: Any, event: dict[str, Any], **signing: Any) -> Any:
        """Tell of an event, signed now, by a test client."""
        body = json.dumps(event).encode()
        return client.post("/api/v1/billing/webhooks/stripe", data=body, headers=self.sign(body, **signing))

    # --- answering ------------------------------------------------------------------------------
    def answer(self, method: str, target: str, body: str, headers: Any) -> tuple[int, Any, dict[str, str]]:
        """The status, the body and further headers of an answer."""
        address = urlsplit(target)
        params = unflatten(parse_qsl(body or address.query, keep_blank_values=True))
        with self.lock:
            self.calls.append((method, address.path, params))
            fault = self.faults.pop(0)() if self.faults else None
            if fault is not None:
                words = {"type": "api_error", "message": "An error occurred"}
                return fault[0], {"error": words}, fault[1]
            if headers.get("Authorization") != f"Bearer {SECRET_KEY}":
                key = headers.get("Authorization", "")[7:]
                return 401, _error("invalid_request_error", f"Invalid API Key provided: {key}"), {}
            key = headers.get("Idempotency-Key") if method == "POST" else None
            return (*self._once(key, (method, address.path, body), params), {})

    def _once(self, key: str | None, asked: tuple[str, str, str], params: dict[str, Any]) -> tuple[int, Any]:
        if key in self._remembered:
            before, status, told = self._remembered[key]
            if before != asked:
                words = "Keys for idempotent requests can only be used with the same parameters."
                return 400, _error("idempotency_error", words)
            return status, told
        try:
            status, told = 200, self._work_out(asked[0], asked[1], params)
        except Refusal as refusal:
            status, told = refusal.status, _error(refusal.kind, str(refusal), **refusal.facts)
        if key is not None and (status == 200 or status == 402):
            self._remembered[key] = (asked, status, told)
        return status, told

    def _work_out(self, method: str, path: str, params: dict[str, Any]) -> Any:
        expand = params.pop("expand", [])
        if any(len(one.split(".")) > DEEPEST for one in expand):
            raise Refusal("You cannot expand more than 4 levels of a property.")
        found = self.books.call(method, path, params)
        told = json.loads(json.dumps(found))
        for one in expand:
            self._expand(told, one.split("."))
        return told

    def _expand(self, told: Any, path: list[str]) -> None:
        if isinstance(told, list):
            for one in told:
                self._expand(one, path)
            return
        name, *rest = path
        if not isinstance(told, dict) or name not in {*told, *self.books.includable(told)}:
            raise Refusal(f"This property cannot be expanded ({name}).")
        if name in self.books.includable(told):
            told[name] = self.books.include(told, name)
        elif isinstance(told[name], str):
            if told[name] not in self.books.objects:
                raise Refusal(f"This property cannot be expanded ({name}).")
            told[name] = json.loads(json.dumps(self.books.objects[told[name]]))
        if rest and told[name] is not None:
            self._expand(told[name], rest)


def unflatten(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """``a[b][0]=c`` as nested mappings and lists."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        path = name.replace("]", "").split("[")
        level = tree
        for step in path[:-1]:
            level = level.setdefault(step, {})
        last = path[-1] or str(len(level))
        level[last] = value
    found: dict[str, Any] = _lists(tree)
    return found


def _lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(name.isdigit() for name in tree):
        return [_lists(tree[name]) for name in sorted(tree, key=int)]
    return {name: _lists(value) for name, value in tree.items()}


def _error(kind: str, words: str, **facts: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "message": words, **facts}}


@contextmanager
def running() -> Iterator[FakeStripe]:
    """A Stripe that answers at its ``address`` until the block ends."""
    fake = FakeStripe()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer, in two packets, waits for an acknowledgment

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, told, headers = fake.answer(self.command, self.path, body, self.headers)
            if fake.lost and fake.lost.pop(0):
                self.close_connection = True
                return
            content = json.dumps(told).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        fake.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
