"""Endpoints: made, changed, given another secret, disabled and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.orm.attributes import flag_modified

from devforge_api.audit import service as audit
from devforge_api.core import news
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.errors import Forbidden, ValidationFailed
from devforge_api.core.outbox import emit
from devforge_api.users import service as users
from devforge_api.webhooks import queries
from devforge_api.webhooks.errors import TooManyEndpoints
from devforge_api.webhooks.models import (
    Audience,
    DisabledReason,
    EndpointStatus,
    WebhookEndpoint,
    WebhookFilter,
)
from devforge_api.webhooks.service import signing
from devforge_api.webhooks.service.telling import endpoint_due

MOST_ENDPOINTS = 20  # of one user


@dataclass(frozen=True, slots=True)
class Made:
    """An endpoint and its secret, which only this answer shows."""

    secret: str
    row: WebhookEndpoint

    def __getattr__(self, name: str) -> Any:
        """What the row shows."""
        return getattr(self.row, name)


def create(owner_id: UUID, values: Mapping[str, Any], *, for_everybody: bool) -> Made:
    """Make an endpoint.

    :param values: ``url, description, events, audience, status``; the address was looked at before.
    :param for_everybody: whether the caller may have everybody's news sent somewhere.
    :raises ValidationFailed: an event that there is not. :raises Forbidden: see `for_everybody`.
    :raises TooManyEndpoints: the owner has as many as may be.
    """
    users.get_user(owner_id, for_update=True)
    if queries.count_endpoints(owner_id) >= MOST_ENDPOINTS:
        raise TooManyEndpoints(limit=MOST_ENDPOINTS)
    values = dict(values)
    events = checked_events(values.pop("events"))
    secret = signing.new_secret()
    endpoint = WebhookEndpoint(user_id=owner_id, secret=signing.seal(secret), **values)
    insist_on_right(endpoint, for_everybody=for_everybody)
    if endpoint.status is EndpointStatus.DISABLED:
        endpoint.disabled_reason, endpoint.disabled_at = DisabledReason.OWNER, utc_now()
    endpoint.filters = [WebhookFilter(event=event) for event in events]
    db.session.add(endpoint)
    db.session.flush()
    changes = {"host": (None, _host(endpoint.url)), "audience": (None, endpoint.audience)}
    _record("created", endpoint, changes)
    return Made(secret, endpoint)


def update(endpoint: WebhookEndpoint, values: Mapping[str, Any], *, for_everybody: bool) -> WebhookEndpoint:
    """Change an endpoint that this transaction has locked; enabling it has it go on.

    :raises ValidationFailed: an event that there is not. :raises Forbidden: as in `create`.
    """
    values = dict(values)
    events = values.pop("events", None)
    now, before = utc_now(), endpoint.url
    changes = audit.apply(endpoint, values)
    insist_on_right(endpoint, for_everybody=for_everybody)
    if "url" in changes:
        changes["host"] = (_host(before), _host(endpoint.url))
        del changes["url"]  # it may hold a secret of the receiver's
        endpoint.proven_at = None
        _forget_failures(endpoint)
    if "status" in changes:
        _switched(endpoint, now)
    if events is not None and (had := endpoint.events) != (wanted := checked_events(events)):
        _want(endpoint, wanted)
        changes["events"] = (had, wanted)
    if changes:
        endpoint.updated_at = now
        _record("updated", endpoint, changes)
    if endpoint.status is EndpointStatus.ENABLED and changes.keys() & {"status", "host"}:
        endpoint_due(endpoint.id, now)
    db.session.flush()
    return endpoint


def rotate_secret(endpoint: WebhookEndpoint, *, keep_previous: timedelta, for_everybody: bool) -> Made:
    """Give an endpoint that this transaction has locked another secret.

    :param keep_previous: for how long the one before signs as well.
    :raises Forbidden: as in `create`.
    """
    insist_on_right(endpoint, for_everybody=for_everybody)
    now, secret = utc_now(), signing.new_secret()
    kept = endpoint.secret if keep_previous else None
    endpoint.previous_secret = kept
    endpoint.previous_secret_until = now + keep_previous if kept else None
    endpoint.secret = signing.seal(secret)
    db.session.flush()
    _record("secret_rotated", endpoint, {})
    return Made(secret, endpoint)


def disable(endpoint: WebhookEndpoint, reason: DisabledReason, now: datetime) -> None:
    """Send nothing more to an endpoint that this transaction has locked; its owner is told."""
    if endpoint.status is EndpointStatus.DISABLED:
        return
    endpoint.status, endpoint.disabled_reason, endpoint.disabled_at = EndpointStatus.DISABLED, reason, now
    endpoint.updated_at = now
    db.session.flush()
    status = (EndpointStatus.ENABLED, EndpointStatus.DISABLED)
    _record("disabled", endpoint, {"status": status, "reason": (None, reason)})
    emit("webhook.disabled", endpoint_id=str(endpoint.id))


def enable(endpoint: WebhookEndpoint) -> None:
    """Go on with an endpoint that this transaction has locked."""
    update(endpoint, {"status": EndpointStatus.ENABLED}, for_everybody=True)


def delete(endpoint: WebhookEndpoint) -> None:
    """Remove an endpoint that this transaction has locked, and its deliveries."""
    _record("deleted", endpoint, {"host": (_host(endpoint.url), None)})
    db.session.delete(endpoint)
    db.session.flush()


def is_at(endpoint_id: UUID, url: str, *, owner_id: UUID) -> bool:
    """Whether an endpoint has this address already. :raises EndpointNotFound: unknown, or another's."""
    return queries.get_endpoint(endpoint_id, owner_id=owner_id).url == url


def checked_events(names: Sequence[str]) -> list[str]:
    """Names of news, and of all news of a kind, each once and in order.

    :raises ValidationFailed: there is no such news; tells which there is.
    """
    known = set(news.told())
    known |= {f"{name.partition('.')[0]}.*" for name in known}
    possible = ", ".join(sorted(known))
    unknown = [
        {"field": f"events.{place}", "code": "UNKNOWN_EVENT", "message": f"Choose from: {possible}."}
        for place, name in enumerate(names)
        if name not in known
    ]
    if unknown:
        raise ValidationFailed(unknown)
    return sorted(set(names))


def insist_on_right(endpoint: WebhookEndpoint, *, for_everybody: bool) -> None:
    """Whoever edits what gets everybody's news must be allowed to read it: the address is an edit, too.

    :raises Forbidden: the caller is not.
    """
    if endpoint.audience is Audience.EVERYBODY and not for_everybody:
        raise Forbidden


def not_edited(endpoint: WebhookEndpoint) -> None:
    """What is written into the row is not its owner's doing: ``updated_at`` stays."""
    flag_modified(endpoint, "updated_at")


def _switched(endpoint: WebhookEndpoint, now: datetime) -> None:
    if endpoint.status is EndpointStatus.DISABLED:
        endpoint.disabled_reason, endpoint.disabled_at = DisabledReason.OWNER, now
        return
    endpoint.disabled_reason = endpoint.disabled_at = None
    _forget_failures(endpoint)


def _forget_failures(endpoint: WebhookEndpoint) -> None:
    endpoint.failing_since = endpoint.resting_until = None
    endpoint.timeouts = 0


def _want(endpoint: WebhookEndpoint, events: list[str]) -> None:
    kept = [one for one in endpoint.filters if one.event in events]
    new = set(events) - {one.event for one in kept}
    kept += [WebhookFilter(event=event) for event in new]
    endpoint.filters = sorted(kept, key=lambda one: one.event)


def _host(url: str) -> str | None:
    return urlsplit(url).hostname


def _record(deed: str, endpoint: WebhookEndpoint, changes: Mapping[str, tuple[Any, Any]]) -> None:
    audit.record(f"webhook.{deed}", target_type="webhook_endpoint", target_id=endpoint.id, changes=changes)
