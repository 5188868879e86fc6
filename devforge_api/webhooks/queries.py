"""What can be listed and looked up about webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import selectinload

from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.users.models import Role, User, UserStatus
from devforge_api.webhooks.errors import DeliveryNotFound, EndpointNotFound
from devforge_api.webhooks.models import (
    Audience,
    DeliveryStatus,
    EndpointStatus,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookFilter,
)

ENDPOINTS = Listing(
    "WebhookEndpointQuery",
    key=WebhookEndpoint.id,
    filters={"status": WebhookEndpoint.status, "created_at": WebhookEndpoint.created_at},
    sorts={"created_at": WebhookEndpoint.created_at},
    load=(selectinload(WebhookEndpoint.filters),),
)
DELIVERIES = Listing(
    "WebhookDeliveryQuery",
    key=WebhookDelivery.id,
    filters={
        "status": WebhookDelivery.status,
        "event": WebhookDelivery.event,
        "created_at": WebhookDelivery.created_at,
    },
    sorts={"created_at": WebhookDelivery.created_at},
)


def endpoints(owner_id: UUID | None) -> Select[WebhookEndpoint]:
    """A user's endpoints; None: everybody's."""
    found = select(WebhookEndpoint)
    return found if owner_id is None else found.where(WebhookEndpoint.user_id == owner_id)


def get_endpoint(endpoint_id: UUID, *, owner_id: UUID | None, for_update: bool = False) -> WebhookEndpoint:
    """One endpoint with what it wants.

    :param owner_id: whose it must be; None: anybody's.
    :param for_update: lock the row until commit.
    :raises EndpointNotFound: unknown, or another's.
    """
    statement = endpoints(owner_id).where(WebhookEndpoint.id == endpoint_id)
    if for_update:
        statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    found: WebhookEndpoint | None = db.session.scalar(
        statement.options(selectinload(WebhookEndpoint.filters))
    )
    if found is None:
        raise EndpointNotFound
    return found


def lock_endpoint(endpoint_id: UUID) -> WebhookEndpoint | None:
    """One endpoint without its filters, locked until commit; None: deleted meanwhile."""
    statement = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id)
    return db.session.scalar(
        statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    )


def lock_endpoints_of(owner_id: UUID) -> dict[UUID, WebhookEndpoint]:
    """All of a user's endpoints, locked until commit in the order of their ids."""
    statement = select(WebhookEndpoint).where(WebhookEndpoint.user_id == owner_id)
    statement = statement.order_by(WebhookEndpoint.id).with_for_update(key_share=True)
    found = db.session.scalars(statement.execution_options(populate_existing=True))
    return {endpoint.id: endpoint for endpoint in found}


def count_endpoints(owner_id: UUID) -> int:
    """How many endpoints a user has."""
    statement = select(func.count()).where(WebhookEndpoint.user_id == owner_id)
    return db.session.scalar(statement) or 0


def deliveries(endpoint_id: UUID, *, owner_id: UUID | None) -> Select[WebhookDelivery]:
    """What was, or is to be, sent to an endpoint."""
    found = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id)
    if owner_id is None:
        return found
    mine = select(WebhookEndpoint.id).where(
        WebhookEndpoint.id == endpoint_id, WebhookEndpoint.user_id == owner_id
    )
    return found.where(WebhookDelivery.endpoint_id.in_(mine))


def get_delivery(endpoint_id: UUID, delivery_id: UUID, *, owner_id: UUID | None) -> WebhookDelivery:
    """One delivery with its attempts.

    :raises DeliveryNotFound: unknown, or of another endpoint. :raises EndpointNotFound: likewise.
    """
    statement = deliveries(endpoint_id, owner_id=owner_id).where(WebhookDelivery.id == delivery_id)
    found = db.session.scalar(statement.options(selectinload(WebhookDelivery.log)))
    if found is None:
        get_endpoint(endpoint_id, owner_id=owner_id)
        raise DeliveryNotFound
    return found


@dataclass(frozen=True, slots=True)
class Wanting:
    """An endpoint that is to get a piece of news."""

    endpoint_id: UUID
    user_id: UUID


def wanting(event: str, users: Sequence[UUID], *, trusted: Iterable[Role]) -> list[Wanting]:
    """The endpoints that want this news of these users; none of them goes away before commit.

    :param trusted: roles whose endpoints may be told everybody's news.
    """
    statement = (
        select(WebhookEndpoint.id, WebhookEndpoint.user_id)
        .join(User, User.id == WebhookEndpoint.user_id)
        .where(
            WebhookEndpoint.status == EndpointStatus.ENABLED,
            User.status == UserStatus.ACTIVE,
            or_(
                WebhookEndpoint.user_id.in_(users),
                and_(WebhookEndpoint.audience == Audience.EVERYBODY, User.role.in_(list(trusted))),
            ),
            _wants(event),
        )
        .order_by(WebhookEndpoint.id)
        .with_for_update(read=True, key_share=True, of=WebhookEndpoint)
    )
    return [Wanting(endpoint_id, user_id) for endpoint_id, user_id in db.session.execute(statement)]


def _wants(event: str) -> ColumnElement[bool]:
    own = select(WebhookFilter.event).where(WebhookFilter.endpoint_id == WebhookEndpoint.id)
    kind = f"{event.partition('.')[0]}.*"
    return or_(~own.exists(), own.where(WebhookFilter.event.in_([event, kind])).exists())


def hold_user(user_id: UUID) -> bool:
    """Whether there is such a user, who will not be deleted before this transaction ends."""
    statement = select(User.id).where(User.id == user_id).with_for_update(read=True, key_share=True)
    return db.session.scalar(statement) is not None


@dataclass(frozen=True, slots=True)
class Owner:
    """What counts of an endpoint's owner at the moment of an attempt."""

    role: Role
    active: bool


def owner_of(endpoint: WebhookEndpoint) -> Owner | None:
    """Its owner; None: deleted meanwhile."""
    found = db.session.execute(select(User.role, User.status).where(User.id == endpoint.user_id)).first()
    return Owner(found.role, found.status is UserStatus.ACTIVE) if found else None


def is_parked() -> ColumnElement[bool]:
    """The deliveries that wait for their endpoint."""
    pending = WebhookDelivery.status == DeliveryStatus.PENDING
    return and_(pending, WebhookDelivery.next_attempt_at.is_(None))


def parked(endpoint_id: UUID, limit: int) -> list[WebhookDelivery]:
    """The oldest of an endpoint's parked deliveries."""
    statement = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id, is_parked())
    oldest = statement.order_by(WebhookDelivery.created_at, WebhookDelivery.id).limit(limit)
    return list(db.session.scalars(oldest.with_for_update()))


def endpoints_with_parked(now: datetime, *, owner_id: UUID | None = None) -> list[UUID]:
    """The endpoints that could go on with what is parked for them.

    :param owner_id: only this user's.
    """
    parked_for = select(WebhookDelivery.id).where(
        WebhookDelivery.endpoint_id == WebhookEndpoint.id, is_parked()
    )
    awake = or_(WebhookEndpoint.resting_until.is_(None), WebhookEndpoint.resting_until <= now)
    enabled = WebhookEndpoint.status == EndpointStatus.ENABLED
    statement = select(WebhookEndpoint.id).where(enabled, awake, parked_for.exists())
    if owner_id is not None:
        statement = statement.where(WebhookEndpoint.user_id == owner_id)
    return list(db.session.scalars(statement.order_by(WebhookEndpoint.id)))


def count_recent(endpoint_id: UUID, event: str, since: datetime) -> int:
    """How many messages of an event were addressed to an endpoint since a moment."""
    statement = select(func.count()).where(
        WebhookDelivery.endpoint_id == endpoint_id,
        WebhookDelivery.event == event,
        WebhookDelivery.created_at > since,
    )
    return db.session.scalar(statement) or 0


@dataclass(frozen=True, slots=True)
class Seen:
    """How webhooks are doing as a whole."""

    enabled: int
    failing: int
    waiting: int


def overview(now: datetime, *, failing_for: timedelta) -> Seen:
    """How many endpoints there are, fail for long, and how many deliveries are under way.

    :param failing_for: what counts as long.
    """
    enabled = WebhookEndpoint.status == EndpointStatus.ENABLED
    long = WebhookEndpoint.failing_since <= now - failing_for
    pending = WebhookDelivery.status == DeliveryStatus.PENDING
    return Seen(
        enabled=db.session.scalar(select(func.count()).where(enabled)) or 0,
        failing=db.session.scalar(select(func.count()).where(enabled, long)) or 0,
        waiting=db.session.scalar(select(func.count()).where(pending)) or 0,
    )
