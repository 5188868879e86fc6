"""Fill the peers' database with the same licences, machines and users as ours, and make tokens."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import psycopg

from benchmarks.population import PRODUCT, License, email_of, licenses, pairs_of

SCHEMA = Path(__file__).with_name("schema.sql")
REVOKED = 5_000
TOKEN_SECONDS = 2 * 60 * 60  # longer than a run


def fill(url: str, secret: str, *, license_count: int, users: int, tokens: int) -> dict[str, Any]:
    """Make the tables in an empty database and fill them.

    :param url: of libpq's form.
    :param secret: what the peers sign tokens with.
    :returns: the requests' material, as ``benchmarks.seed`` writes it.
    """
    now = datetime.now(UTC)
    found = licenses(license_count, now)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA.read_bytes())
        with connection.transaction(), connection.cursor() as cursor:
            _licenses(cursor, found)
            _users(cursor, users, now)
        connection.execute("VACUUM ANALYZE")
    issued = int(time.time())
    claims = {"type": "access", "iat": issued, "nbf": issued, "exp": issued + TOKEN_SECONDS}
    made = [
        jwt.encode({**claims, "sub": str(number + 1), "jti": str(uuid4())}, secret, algorithm="HS256")
        for number in range(min(tokens, users))
    ]
    return {"pairs": pairs_of(found), "tokens": made}


def _licenses(cursor: psycopg.Cursor[Any], found: list[License]) -> None:
    columns = "key_hash, product, plan, status, expires_at, max_machines, features"
    with cursor.copy(f"COPY licences ({columns}) FROM STDIN") as copy:
        for license_ in found:
            tier = license_.tier
            facts = (license_.status, license_.expires_at, tier.max_machines, list(tier.features))
            copy.write_row((hashlib.sha256(license_.key.encode()).digest(), PRODUCT, tier.name, *facts))
    with cursor.copy("COPY machines (licence_id, fingerprint) FROM STDIN") as copy:
        for number, license_ in enumerate(found, start=1):  # the identity column counts from 1
            for machine in license_.fingerprints:
                copy.write_row((number, machine))


def _users(cursor: psycopg.Cursor[Any], count: int, now: datetime) -> None:
    columns = "email, display_name, role, plan, email_verified, created_at, last_login_at"
    with cursor.copy(f"COPY users ({columns}) FROM STDIN") as copy:
        for number in range(count):
            copy.write_row((email_of(number), f"User {number}", "user", "free", True, now, now))
    with cursor.copy("COPY revoked_tokens (jti, user_id, expires_at) FROM STDIN") as copy:
        for number in range(REVOKED):
            copy.write_row((uuid4(), 1 + number % count, now + timedelta(days=30)))
