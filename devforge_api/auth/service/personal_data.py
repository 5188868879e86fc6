"""Sessions, factors, identities and tokens as part of what is known of a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, delete

from devforge_api.auth.models import (
    DeviceGrant,
    Identity,
    OneTimeToken,
    PersonalAccessToken,
    RecoveryCode,
    ServiceAccount,
    Session,
    TotpFactor,
)
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run

# Table → whose its rows are, and what of them is secret. Tokens go before the accounts they are for.
_TABLES: tuple[tuple[Any, Any, frozenset[str]], ...] = (
    (PersonalAccessToken, PersonalAccessToken.user_id, frozenset({"token_hash"})),
    (ServiceAccount, ServiceAccount.owner_id, frozenset()),
    (OneTimeToken, OneTimeToken.user_id, frozenset({"token_hash", "data"})),
    (DeviceGrant, DeviceGrant.user_id, frozenset({"device_code_hash", "user_code"})),
    (RecoveryCode, RecoveryCode.user_id, frozenset({"code_hash"})),
    (TotpFactor, TotpFactor.user_id, frozenset({"secret", "last_step"})),
    (Identity, Identity.user_id, frozenset()),
    (Session, Session.user_id, frozenset({"cookie_hash", "counter"})),
)


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    for model, owner, secrets in _TABLES:
        yield model.__tablename__, rows(model, _is_theirs(owner, subject), without=secrets)


def _erase(subject: Subject) -> Iterator[Erased]:
    for model, owner, _ in _TABLES:
        yield run(model.__tablename__, "removed", delete(model).where(_is_theirs(owner, subject)))


def _is_theirs(owner: Any, subject: Subject) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = owner == subject.user_id
    return condition


SIGN_IN_DATA = PersonalData(
    "sign_in", frozenset(model.__tablename__ for model, _, _ in _TABLES), _export, _erase
)
