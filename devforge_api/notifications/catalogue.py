"""What news becomes a notification, of which kind, by which channels, and what it is about.

The words stand in `words.py`. A piece of news whose letter another domain writes (receipts, security
letters, transfers) gets none here: nobody is written to twice about one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from devforge_api.core.languages import language_of
from devforge_api.notifications.models import Channel, Kind, Notification
from devforge_api.notifications.words import Text, text_of

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind's default for one channel; ``fixed``: nobody can choose otherwise."""

    enabled: bool
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """How one event is told.

    :param about: the type of the resource that it concerns, and where its id stands in the data.
    :param loud: it may also be pushed, where its reader wants that of its kind.
    :param written: it may also be a letter, likewise.
    :param variant: which of the event's texts fits; None: of this nobody is notified.
    """

    kind: Kind
    about: tuple[str, str] | None = None
    loud: bool = True
    written: bool = False
    variant: Callable[[Data], str | None] = lambda _: ""


@dataclass(frozen=True, slots=True)
class Link:
    """Where the app should go: a resource's type and id."""

    type: str
    id: str


ON, OFF = Choice(True), Choice(False)
ALWAYS, NEVER = Choice(True, fixed=True), Choice(False, fixed=True)

DEFAULTS: dict[Kind, dict[Channel, Choice]] = {
    # What concerns the ways into the account stays in sight; its letters are auth's, and always written.
    Kind.ACCOUNT: {Channel.IN_APP: ALWAYS, Channel.MAIL: NEVER, Channel.PUSH: ON},
    Kind.LICENSES: {Channel.IN_APP: ON, Channel.MAIL: ON, Channel.PUSH: ON},
    # Receipts and reminders are billing's letters, and always written.
    Kind.BILLING: {Channel.IN_APP: ON, Channel.MAIL: NEVER, Channel.PUSH: ON},
    Kind.RELEASES: {Channel.IN_APP: ON, Channel.MAIL: OFF, Channel.PUSH: OFF},
    Kind.FILES: {Channel.IN_APP: ON, Channel.MAIL: NEVER, Channel.PUSH: OFF},
    Kind.WEBHOOKS: {Channel.IN_APP: ON, Channel.MAIL: ON, Channel.PUSH: ON},
}


def _with_end(data: Data) -> str:
    return "until" if data.get("expires_at") else "endless"


def _standing(data: Data) -> str | None:
    """A subscription that runs on as before is told by its order and its licences."""
    status = str(data.get("subscription_status"))
    if status in {"past_due", "unpaid", "paused", "canceled"}:
        return status
    return "ending" if data.get("cancel_at_period_end") else None


_LICENSE, _ORDER, _FILE = ("license", "license_id"), ("order", "order_id"), ("file", "file_id")
_SUBSCRIPTION, _PAYMENT = ("subscription", "subscription_id"), ("payment", "payment_id")

ENTRIES: dict[str, Entry] = {
    "auth.identity_linked": Entry(Kind.ACCOUNT),
    "auth.identity_unlinked": Entry(Kind.ACCOUNT),
    "auth.mfa_disabled": Entry(Kind.ACCOUNT),
    "auth.mfa_enabled": Entry(Kind.ACCOUNT),
    "auth.new_device": Entry(Kind.ACCOUNT, ("session", "session_id")),
    "auth.password_changed": Entry(Kind.ACCOUNT),
    "auth.recovery_code_used": Entry(Kind.ACCOUNT),
    "auth.reuse_detected": Entry(Kind.ACCOUNT, ("session", "session_id")),
    "auth.token_created": Entry(Kind.ACCOUNT, ("token", "token_id")),
    "user.email_changed": Entry(Kind.ACCOUNT),
    "license.deleted": Entry(Kind.LICENSES),
    "license.entitlements_changed": Entry(Kind.LICENSES, _LICENSE, loud=False),
    "license.expired": Entry(Kind.LICENSES, _LICENSE, written=True),
    "license.issued": Entry(Kind.LICENSES, _LICENSE, loud=False),
    "license.key_rotated": Entry(Kind.LICENSES, _LICENSE),
    "license.reinstated": Entry(Kind.LICENSES, _LICENSE),
    "license.renewed": Entry(Kind.LICENSES, _LICENSE, loud=False, variant=_with_end),
    "license.revoked": Entry(Kind.LICENSES, _LICENSE),
    "license.suspended": Entry(Kind.LICENSES, _LICENSE),
    "license.taken_over": Entry(Kind.LICENSES, _LICENSE),
    "license.transferred": Entry(Kind.LICENSES, _LICENSE, loud=False),
    "order.disputed": Entry(Kind.BILLING, _ORDER),
    "order.failed": Entry(Kind.BILLING, _ORDER),
    "order.paid": Entry(Kind.BILLING, _ORDER),
    "payment.failed": Entry(Kind.BILLING, _PAYMENT),
    "payment.refunded": Entry(Kind.BILLING, _PAYMENT),
    "subscription.changed": Entry(Kind.BILLING, _SUBSCRIPTION, variant=_standing),
    "release.available": Entry(Kind.RELEASES, ("release", "release_id"), written=True),
    "file.quarantined": Entry(Kind.FILES, _FILE),
    "webhook.disabled": Entry(Kind.WEBHOOKS, ("webhook", "endpoint_id"), written=True),
}

# News that is nobody's notification: what its reader has just done, or is told by another piece.
SILENT = frozenset({
    "file.available", "license.activated", "license.deactivated", "license.fulfilled",
    "license.machine_died", "license.machine_revived", "license.updated", "license.users_changed",
    "order.canceled", "order.created", "order.refunded", "payment.paid", "release.published",
    "release.yanked", "user.created", "user.deleted", "user.disabled", "user.email_verified", "user.enabled",
})  # fmt: skip

# Under which type of the realtime contract a window hears of news, by the resource in its name.
FEED_TYPES = {
    "license": "license_update",
    "order": "payment_update",
    "payment": "payment_update",
    "subscription": "payment_update",
}


def channels_of(entry: Entry) -> tuple[Channel, ...]:
    """By which channels an event may go out at all."""
    chosen = {Channel.IN_APP: True, Channel.MAIL: entry.written, Channel.PUSH: entry.loud}
    return tuple(channel for channel, possible in chosen.items() if possible)


def words_of(notification: Notification, locale: str | None) -> Text:
    """Title and body, in the language of a locale."""
    variant = ENTRIES[notification.event].variant(notification.data) or ""
    return text_of(notification.event, variant, language_of(locale), notification.data)


def link_of(notification: Notification) -> Link | None:
    """What it is about; None: nothing that has a page."""
    about = ENTRIES[notification.event].about
    found = notification.data.get(about[1]) if about else None
    return Link(about[0], str(found)) if about and found else None
