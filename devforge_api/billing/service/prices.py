"""Prices: made, changed where nothing hangs on it, and removed while nobody has bought at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError

from devforge_api.audit import service as audit
from devforge_api.billing import queries
from devforge_api.billing.errors import PriceImmutable, PriceInUse
from devforge_api.billing.models import Interval, Price
from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed

__all__ = ["IMMUTABLE", "Interval", "create", "remove", "update"]
IMMUTABLE = ("policy_id", "amount", "currency", "interval")


def create(values: Mapping[str, Any]) -> Price:
    """Make a price; without a name it is called as its policy is.

    :raises ValidationFailed: there is no such policy, it is a trial, or the price has trial days and
        is paid once.
    """
    policy = queries.find_policy(values["policy_id"])
    if policy is None:
        raise ValidationFailed.of("policy_id", "There is no such policy.", "NOT_FOUND")
    if policy.trial:
        raise ValidationFailed.of("policy_id", "A trial is given, not sold.")
    price = Price(**{**values, "name": values.get("name") or policy.name, "product_id": policy.product_id})
    _check_trial(price)
    db.session.add(price)
    db.session.flush()
    changes = {name: (None, getattr(price, name)) for name in ("name", *IMMUTABLE)}
    audit.record("price.created", target_type="price", target_id=price.id, changes=changes)
    return price


def update(price: Price, values: Mapping[str, Any]) -> Price:
    """Change a price that this transaction has locked; buyers of before keep what they have.

    :param values: a name of None is the policy's.
    :raises PriceImmutable: another policy, amount, currency or interval.
    :raises ValidationFailed: trial days for a price that is paid once.
    """
    values = dict(values)
    for name in IMMUTABLE:
        if values.get(name, getattr(price, name)) != getattr(price, name):
            raise PriceImmutable(None, field=name)
    if "name" in values and values["name"] is None:
        policy = queries.find_policy(price.policy_id)
        assert policy is not None  # the price's key holds it
        values["name"] = policy.name
    changes = audit.apply(price, values)
    if changes:
        _check_trial(price)
        db.session.flush()
        audit.record("price.updated", target_type="price", target_id=price.id, changes=changes)
    return price


def remove(price: Price) -> None:
    """Delete a price that this transaction has locked. :raises PriceInUse: something was bought at it."""
    try:
        with db.session.begin_nested():
            db.session.delete(price)
            db.session.flush()
    except IntegrityError as error:
        raise PriceInUse from error
    audit.record("price.deleted", target_type="price", target_id=price.id)


def _check_trial(price: Price) -> None:
    if price.interval is Interval.ONE_TIME and price.trial_days is not None:
        raise ValidationFailed.of("trial_days", "Only what is paid again and again can be tried first.")
