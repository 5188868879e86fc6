"""Addresses that no letter is sent to any more: they do not exist, or their reader complained.

An address stands here by a pseudonym under the secret key. It is found as long as that key is listed,
and comes under the newest one when it is met.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import String, Text, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, affected, checked_enum, db, insert_into
from devforge_api.core.mail.outgoing import names_of

DETAIL_LENGTH = 500


class SuppressionReason(StrEnum):
    """``bounced``: its server knows no such address. ``complained``: reported as unwanted."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    MANUAL = "manual"


class MailSuppression(Model):
    """An address on the list, by a name that tells nobody the address."""

    __tablename__ = "mail_suppressions"

    counted_as: Mapped[str] = mapped_column(String(32), primary_key=True)
    reason: Mapped[SuppressionReason] = mapped_column(checked_enum(SuppressionReason))
    detail: Mapped[str | None] = mapped_column(Text)  # the server's words
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


def is_suppressed(address: str) -> bool:
    """Whether no letter is sent to an address, in whatever case it is written."""
    listed = select(MailSuppression.counted_as).where(MailSuppression.counted_as.in_(names_of(address)))
    return db.session.scalar(listed.limit(1)) is not None


def suppress(address: str, reason: SuppressionReason, detail: str | None = None) -> None:
    """Put an address on the list; one that stands there keeps its reason, unless that was a bounce.

    :param detail: why, in the server's words; the address in it is left out.
    """
    told = detail and " ".join(detail.replace(address, "(the recipient)").split())[:DETAIL_LENGTH]
    present, *former = names_of(address)
    _rename(present, former)
    row = insert_into(MailSuppression).values(
        counted_as=present, reason=reason, detail=told, created_at=utc_now()
    )
    row = row.on_conflict_do_update(
        index_elements=[MailSuppression.counted_as],
        set_={"reason": reason, "detail": told},
        where=MailSuppression.reason == SuppressionReason.BOUNCED,
    )
    db.session.execute(row)


def lift(address: str, *reasons: SuppressionReason) -> bool:
    """Take an address off the list; whether it stood there.

    :param reasons: only if it stands there for one of these; none: for whatever reason.
    """
    statement = delete(MailSuppression).where(MailSuppression.counted_as.in_(names_of(address)))
    if reasons:
        statement = statement.where(MailSuppression.reason.in_(reasons))
    return affected(statement.execution_options(synchronize_session=False)) > 0


def keep_listed(address: str) -> None:
    """Bring an address that was met under the newest key, so that older ones may go."""
    present, *former = names_of(address)
    _rename(present, former)


def _rename(present: str, former: Sequence[str]) -> None:
    """Move an entry from older names to the present one."""
    for name in former:
        old = db.session.get(MailSuppression, name, with_for_update=True)
        if old is None:
            continue
        values = {"counted_as": present, "reason": old.reason, "detail": old.detail}
        row = insert_into(MailSuppression).values(**values, created_at=old.created_at)
        db.session.execute(row.on_conflict_do_nothing())
        db.session.delete(old)
        db.session.flush()


def listed(*, limit: int, address: str | None = None) -> list[MailSuppression]:
    """The list, the newest first; or of it one address."""
    newest = select(MailSuppression).order_by(MailSuppression.created_at.desc()).limit(limit)
    if address is not None:
        newest = newest.where(MailSuppression.counted_as.in_(names_of(address)))
    return list(db.session.scalars(newest))
