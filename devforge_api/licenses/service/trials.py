"""Trials: one of a product for each user and for each machine, whatever becomes of the licence.

Who has had one is kept apart from licences, so that removing a licence gives no second trial. The
database decides between two who ask at once: a user, or a machine, stands once for each product.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.encryption import fingerprint as digest
from devforge_api.licenses.errors import TrialUsed
from devforge_api.licenses.models import TrialUse
from devforge_api.licenses.queries import Facts


def claim_user(license_id: UUID, product_id: UUID, user_id: UUID) -> None:
    """Note that this trial licence is the user's trial of the product.

    :param user_id: whose row is locked against removal, or read in this transaction.
    :raises TrialUsed: another licence was it.
    """
    _claim(TrialUse(license_id=license_id, product_id=product_id, user_id=user_id))


def free_to_claim(license_id: UUID, product_id: UUID, user_id: UUID) -> bool:
    """Whether `claim_user` would succeed, as far as is committed."""
    try:
        _claimed(TrialUse(license_id=license_id, product_id=product_id, user_id=user_id))
    except TrialUsed:
        return False
    return True


def claim_machine(facts: Facts, fingerprint: str) -> None:
    """Note that this trial licence is the machine's trial of the product.

    Only the fingerprint's hash is kept, mixed with the product: machines cannot be followed from
    one product to the next.

    :raises TrialUsed: the machine has had its trial with another licence.
    """
    product_id = facts.product_id
    hashed = digest(f"{product_id} {fingerprint}")
    _claim(TrialUse(license_id=facts.license_id, product_id=product_id, fingerprint_hash=hashed))


def _claim(use: TrialUse) -> None:
    if _claimed(use):
        return
    try:
        with db.session.begin_nested():  # waits for whoever claims the same just now
            use.created_at = utc_now()
            db.session.add(use)
            db.session.flush()
    except IntegrityError as error:
        if not _claimed(use):
            raise TrialUsed from error


def _claimed(use: TrialUse) -> bool:
    """Whether this very licence has claimed it; False: nobody has.

    :raises TrialUsed: another licence has.
    """
    whose: ColumnElement[bool] = TrialUse.user_id == use.user_id
    if use.user_id is None:
        whose = TrialUse.fingerprint_hash == use.fingerprint_hash
    found = db.session.scalar(select(TrialUse.license_id).where(TrialUse.product_id == use.product_id, whose))
    if found is not None and found != use.license_id:
        raise TrialUsed
    return found is not None
