"""What the books of the fake Stripe are written with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

Thing = dict[str, Any]


class Refusal(Exception):
    """What Stripe answers instead."""

    def __init__(
        self, words: str, *, status: int = 400, kind: str = "invalid_request_error", **facts: Any
    ) -> None:
        super().__init__(words)
        self.status, self.kind, self.facts = status, kind, facts


SINGLE = {
    "prices": "price", "customers": "customer", "checkout/sessions": "checkout.session",
    "payment_intents": "payment_intent", "charges": "charge", "refunds": "refund", "disputes": "dispute",
    "subscriptions": "subscription", "invoices": "invoice", "events": "event",
}  # fmt: skip
LISTS: dict[str, set[str]] = {
    "charges": {"customer", "payment_intent"},
    "checkout/sessions": {"customer", "payment_intent", "subscription", "status"},
    "disputes": {"charge", "payment_intent"},
    "events": {"type", "types"},
    "invoice_payments": {"invoice", "payment", "status"},
    "invoices": {"customer", "status", "subscription"},
    "refunds": {"charge", "payment_intent"},
}


def given(endpoint: Callable[..., Thing], params: Thing, *path: str) -> Thing:
    """Call an endpoint, refusing parameters that it does not know or misses."""
    try:
        inspect.signature(endpoint).bind(*path, **params)
    except TypeError as error:
        raise Refusal(
            f"Received unknown parameter, or lacks one: {error}", code="parameter_unknown"
        ) from None
    return endpoint(*path, **params)


def copy(value: Any) -> Any:
    """The same, which later changes do not reach."""
    if isinstance(value, dict):
        return {name: copy(one) for name, one in value.items()}
    return [copy(one) for one in value] if isinstance(value, list) else value
