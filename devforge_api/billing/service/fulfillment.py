"""An order's licences: made once, and brought to what the order stands for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from devforge_api.billing.models import Order, OrderItem, OrderLicense
from devforge_api.billing.service.standing import Access, Standing
from devforge_api.core.db import db
from devforge_api.core.errors import DomainError
from devforge_api.licenses.service import lifecycle, renewal, transfer
from devforge_api.licenses.service.ordered import CauseKind, License, LicenseStatus, lock_licenses
from devforge_api.licenses.service.record import Cause

log = logging.getLogger(__name__)
PENDING, ACTIVE = LicenseStatus.PENDING, LicenseStatus.ACTIVE
SUSPENDED, REVOKED = LicenseStatus.SUSPENDED, LicenseStatus.REVOKED


@dataclass(frozen=True, slots=True)
class Piece:
    """One licence of an item."""

    item: OrderItem
    row: OrderLicense
    license: License | None  # None: the team has removed it


class Fulfillment:
    """What is done to the licences of a locked order, and why.

    :param cause: the payment event that is cited.
    """

    def __init__(self, order: Order, items: Sequence[OrderItem], *, cause: str, now: datetime) -> None:
        self._order, self._items, self._now = order, items, now
        self._cause = Cause(CauseKind.PAYMENT, cause)
        self.news: list[str] = []

    def bring_to(self, wanted: Standing, moved: Sequence[OrderItem]) -> list[Piece]:
        """Make what is missing, and change what is not as it should be. What the team has done stays.

        :param moved: items that have another policy now.
        """
        pieces = self._pieces()
        if wanted.has_licenses:
            pieces += self._make_missing(pieces, wanted)
        for piece in pieces:
            if piece.license is None or piece.license.status is REVOKED:
                # Noted all the same: who looks for what a deadline concerns need not look here again.
                piece.row.hold, piece.row.suspended = wanted.hold, False
                continue
            if wanted.access is Access.ENDED:
                self._end(piece, piece.license)
            elif wanted.access is Access.GRANTED:
                self._grant(piece, piece.license, wanted, moved=piece.item in moved)
        return pieces

    def _pieces(self) -> list[Piece]:
        by_id = {item.id: item for item in self._items}
        mine = select(OrderLicense).where(OrderLicense.item_id.in_(by_id))
        rows = db.session.scalars(mine.order_by(OrderLicense.item_id, OrderLicense.number)).all()
        held = lock_licenses(row.license_id for row in rows if row.license_id is not None)
        return [
            Piece(by_id[row.item_id], row, None if row.license_id is None else held.get(row.license_id))
            for row in rows
        ]

    def _make_missing(self, pieces: Sequence[Piece], wanted: Standing) -> list[Piece]:
        there = {(piece.row.item_id, piece.row.number) for piece in pieces}
        return [
            self._make(item, number, wanted)
            for item in self._items
            for number in range(item.quantity)
            if (item.id, number) not in there
        ]

    def _make(self, item: OrderItem, number: int, wanted: Standing) -> Piece:
        license_ = lifecycle.issue(
            policy_id=item.policy_id,
            user_id=self._order.user_id,
            expires_at=wanted.until,
            pending=wanted.access is Access.PENDING,
            metadata={"order_id": str(self._order.id)},
            cause=self._cause,
            now=self._now,
        )
        row = OrderLicense(
            item_id=item.id, number=number, license_id=license_.id, suspended=False, until=wanted.until
        )
        db.session.add(row)
        db.session.flush()
        self._tell("issued", license_.id)
        return Piece(item, row, license_)

    def _end(self, piece: Piece, license_: License) -> None:
        lifecycle.revoke(license_, cause=self._cause)
        piece.row.hold, piece.row.suspended = None, False
        self._tell("revoked", license_.id)

    def _grant(self, piece: Piece, license_: License, wanted: Standing, *, moved: bool) -> None:
        row = piece.row
        if moved and license_.policy_id != piece.item.policy_id:
            license_ = self._move(license_, piece.item.policy_id)
        if wanted.until is not None and wanted.until != row.until:
            renewal.extend(license_, until=wanted.until, cause=self._cause)
            row.until = wanted.until
            self._tell(f"extended to {wanted.until:%Y-%m-%d}", license_.id)
        if license_.status is PENDING:
            lifecycle.fulfill(license_, now=self._now, cause=self._cause)
            self._tell("fulfilled", license_.id)
        if wanted.hold is row.hold:
            return
        if row.hold is None and license_.status is ACTIVE:
            lifecycle.suspend(license_, cause=self._cause)
            row.suspended = True
            self._tell("suspended", license_.id)
        elif wanted.hold is None and row.suspended and license_.status is SUSPENDED:
            lifecycle.reinstate(license_, cause=self._cause)
            self._tell("reinstated", license_.id)
        row.hold = wanted.hold
        row.suspended = row.suspended and wanted.hold is not None

    def _move(self, license_: License, policy_id: UUID) -> License:
        """To the policy of its item's new price. Refused, it stays: the books go on.

        Whoever asks us for the change is refused before; at the provider's pages nobody is.
        """
        license_id = license_.id
        try:
            with db.session.begin_nested():
                done = transfer.transfer(license_, now=self._now, policy_id=policy_id, cause=self._cause)
        except DomainError as error:
            told = {"license_id": str(license_id), "policy_id": str(policy_id), "code": error.code}
            log.warning("a licence cannot follow its price to another policy", extra=told)
            self._tell(f"stays under its policy ({error.code})", license_id)
            return lock_licenses([license_id])[license_id]
        self._tell("moved to another policy", license_id)
        return done.license

    def _tell(self, what: str, license_id: UUID) -> None:
        self.news.append(f"license {license_id} {what}")
