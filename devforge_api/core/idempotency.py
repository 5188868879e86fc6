"""``Idempotency-Key``: a POST that is repeated is answered again, not done again.

A claim row is committed before the work; the answer is stored in the work's own transaction.
Killed in between, the claim runs out and the request can be made again. A view that has to ask
somebody else meanwhile works outside of a transaction: its answer is stored right after it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from uuid import UUID

from flask import Response, g, request
from sqlalchemy import ForeignKey, Text, UniqueConstraint, delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core import json
from devforge_api.core.clock import utc_now
from devforge_api.core.context import principal
from devforge_api.core.db import Model, affected, db, unit_of_work, uuid7
from devforge_api.core.encryption import decrypt, encrypt
from devforge_api.core.errors import IdempotencyInFlight, IdempotencyKeyReused, ValidationFailed
from devforge_api.core.jobs import scheduled
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run

KEPT = timedelta(hours=24)
CLAIM = timedelta(seconds=60)
HEADER = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "maxLength": 255},
    "description": "Makes a repetition safe for 24 hours: it gets the stored answer.",
}


class IdempotencyKey(Model):
    """A request that was, or is being, served; ``answer`` is encrypted."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("user_id", "key"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    # The answers concern the user alone: they go when the user goes.
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str]
    request_hash: Mapped[str]  # encrypted as well: the body may hold something that could be guessed
    claimed_until: Mapped[datetime]
    answer: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


def idempotent(view: Callable[..., Response]) -> Callable[..., Response]:
    """The unit of work of a POST that creates or charges. Stands above ``response``.

    :raises IdempotencyKeyReused: the key was used with another request.
    :raises IdempotencyInFlight: the first request is still being served.
    """
    return _served(view, outside=False)


def idempotent_outside(view: Callable[..., Response]) -> Callable[..., Response]:
    """The same for a view that opens its own units of work, with calls to others between them.

    Killed after the last of them and before its answer is stored, the work is done once more by
    whoever repeats the request: it must be such that this does no harm. It has to end before the
    claim does, within `CLAIM`.
    """
    return _served(view, outside=True)


def _served(view: Callable[..., Response], *, outside: bool) -> Callable[..., Response]:
    work: Callable[[], AbstractContextManager[None]] = nullcontext if outside else unit_of_work

    @wraps(view)
    def served(*args: Any, **kwargs: Any) -> Response:
        key = requested_key()
        if key is None:
            with work():
                return view(*args, **kwargs)
        user_id = principal().user_id
        claim_id, stored = _claim(user_id, key, _request_hash())
        if stored is not None:
            return _restore(stored)
        try:
            with work():
                response = view(*args, **kwargs)
                if not outside:
                    _store(claim_id, response)
            if outside:
                with unit_of_work():
                    _store(claim_id, response)
        except BaseException:
            with unit_of_work():
                db.session.execute(delete(IdempotencyKey).where(_mine(claim_id)))
            raise
        return response

    served.__dict__["documented_headers"] = [HEADER]
    return served


def requested_key() -> str | None:
    """What the caller calls this request by, if it may be repeated.

    :raises ValidationFailed: something else than visible ASCII.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise ValidationFailed.of("Idempotency-Key", "Use 1 to 255 visible ASCII characters.")
    return key


def _request_hash() -> str:
    head = f"{request.method} {request.full_path}\n".encode()
    # Of a file that was taken in already, its digest stands for the body.
    body: bytes | None = request.environ.get("devforge.body_digest")
    return hashlib.sha256(head + (json.raw_body(request) if body is None else body)).hexdigest()


def _claim(user_id: UUID, key: str, request_hash: str) -> tuple[UUID, str | None]:
    """Take the key, or find the answer that it already has."""
    now = utc_now()
    row_id = uuid7()
    try:
        with unit_of_work():
            db.session.add(_new_claim(row_id, user_id, key, request_hash))
        return row_id, None
    except IntegrityError:
        pass
    with unit_of_work():
        known = db.session.scalar(
            db.select(IdempotencyKey).filter_by(user_id=user_id, key=key).with_for_update()
        )
        if known is None:  # released just now
            raise IdempotencyInFlight(1)
        expired = known.created_at < now - KEPT
        if not expired and decrypt(known.request_hash) != request_hash:
            raise IdempotencyKeyReused
        if not expired and known.answer is not None:
            return known.id, known.answer
        if not expired and known.claimed_until > now:
            raise IdempotencyInFlight(1)
        # Its server was killed before the commit, or its day is over: the work is ours.
        db.session.delete(known)
        db.session.flush()
        db.session.add(_new_claim(row_id, user_id, key, request_hash))
    return row_id, None


def _new_claim(row_id: UUID, user_id: UUID, key: str, request_hash: str) -> IdempotencyKey:
    return IdempotencyKey(
        id=row_id,
        user_id=user_id,
        key=key,
        request_hash=encrypt(request_hash),
        claimed_until=utc_now() + CLAIM,
    )


def _mine(claim_id: UUID) -> Any:
    return (IdempotencyKey.id == claim_id) & IdempotencyKey.answer.is_(None)


def _store(claim_id: UUID, response: Response) -> None:
    answer = {
        "status": response.status_code,
        "location": response.headers.get("Location"),
        "secret": bool(g.get("carries_secret")),
        "body": response.get_data(as_text=True),
    }
    values = {"answer": encrypt(json.dump(answer).decode())}
    store = update(IdempotencyKey).where(_mine(claim_id)).values(**values)
    if affected(store) != 1:  # the claim ran out and another request has taken it
        raise IdempotencyInFlight(1)


def _restore(stored: str) -> Response:
    answer = json.parse(decrypt(stored).encode())
    g.carries_secret = answer["secret"]
    response = Response(answer["body"], answer["status"], mimetype="application/json")
    if answer["location"]:
        response.headers["Location"] = answer["location"]
    response.headers["Idempotent-Replayed"] = "true"
    return response


@scheduled("core.idempotency.purge", every=timedelta(hours=1))
def purge() -> None:
    """Forget answers after a day."""
    db.session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < utc_now() - KEPT))


def _erase(subject: Subject) -> Iterator[Erased]:
    yield run(
        "idempotency_keys", "removed", delete(IdempotencyKey).where(IdempotencyKey.user_id == subject.user_id)
    )


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    # Repeats of answers that the user has had, encrypted, for a day.
    secret = frozenset({"answer", "request_hash"})
    yield "idempotency_keys", rows(IdempotencyKey, IdempotencyKey.user_id == subject.user_id, without=secret)


REQUEST_DATA = PersonalData("requests", frozenset({"idempotency_keys"}), _export, _erase)
