"""Does what is encrypted in the database open under the master key?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from devforge_api.core import encryption, keys
from devforge_api.core.db import reading_engine
from devforge_api.core.keys import KeyPurpose
from devforge_api.ops.doctor.report import Finding, Health

SCAN_SECONDS = 3.0  # for which secrets are opened; there may be millions
PAGE = 500


def signing_keys() -> Iterator[Finding]:
    """A key signs, and every key opens."""
    rows = keys.signing_keys()
    signing = {row.purpose for row in rows if row.retired_at is None}
    if lost := [row.kid for row in rows if not _opens(row.private_key)]:
        yield Finding(
            "keys",
            Health.FAILED,
            f"DEVFORGE_MASTER_KEY does not open: {', '.join(lost)}",
            "set the master key with which the database was written, or `new,old`",
        )
    for purpose in set(KeyPurpose) - signing:
        yield Finding(
            "keys", Health.WARNING, f"no key signs {purpose.value}", "the server makes it when it starts"
        )
    if signing == set(KeyPurpose) and not lost:
        yield Finding("keys", Health.OK, f"{len(rows)} open")


def _opens(encrypted_pem: str) -> bool:
    try:
        load_pem_private_key(encryption.decrypt(encrypted_pem).encode(), password=None)
    except ValueError:
        return False
    return True


def secrets() -> Iterator[Finding]:
    """Every secret in the database opens, and under the newest master key."""
    masters = current_app.config["MASTER_KEYS"]
    newest = Flask(__name__)
    newest.config["MASTER_KEYS"] = masters[:1]
    encryption.init_app(newest)
    total, old, lost, complete = 0, 0, Counter[str](), True
    until = time.monotonic() + SCAN_SECONDS
    for column in encryption.encrypted_columns():
        for page in _ciphertexts(column):
            older = _not_opened(newest, page)
            opened_by_none = len(_not_opened(current_app, older))
            total, old = total + len(page), old + len(older) - opened_by_none
            lost[str(column)] += opened_by_none
            if time.monotonic() > until:
                complete = False
                break
    for name in +lost:
        yield Finding(
            "secrets",
            Health.FAILED,
            f"{lost[name]} values of {name} open under no listed key",
            "add the key with which they were written: DEVFORGE_MASTER_KEY=new,old",
        )
    if old or not +lost:
        yield _age(total, old, several=len(masters) > 1, complete=complete)


def _age(total: int, old: int, *, several: bool, complete: bool) -> Finding:
    if old:
        return Finding(
            "secrets",
            Health.WARNING,
            f"{old} of {total} are under an old master key",
            "run `flask keys reencrypt`, then drop the old key",
        )
    if several and not complete:
        return Finding(
            "secrets",
            Health.WARNING,
            f"the first {total} are under the newest master key, the rest was not looked at",
            "run `flask keys reencrypt` before you drop the old key",
        )
    dropped = "; the old one may be dropped" if several and complete else ""
    return Finding("secrets", Health.OK, f"{total} looked at, all under the newest master key{dropped}")


def _ciphertexts(column: InstrumentedAttribute[Any]) -> Iterator[list[str]]:
    """A column's values, the oldest rows first: what was left behind is among them."""
    table: Any = column.class_.__table__
    key, sealed = next(iter(table.primary_key)), table.c[column.property.columns[0].name]
    statement = select(key, sealed).where(sealed.is_not(None)).order_by(key).limit(PAGE)
    last = None
    with reading_engine().connect() as connection:
        while rows := connection.execute(statement if last is None else statement.where(key > last)).all():
            yield [ciphertext for _, ciphertext in rows]
            last = rows[-1][0]


def _not_opened(app: Flask, ciphertexts: list[str]) -> list[str]:
    """Those that this application's master keys do not open."""
    kept = []
    with app.app_context():
        for ciphertext in ciphertexts:
            try:
                encryption.decrypt(ciphertext)
            except ValueError:
                kept.append(ciphertext)
    return kept
