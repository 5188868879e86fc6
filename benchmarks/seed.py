"""Fill a migrated PostgreSQL with believable volumes, by COPY, and write the requests' material.

    python -m benchmarks.seed OUTPUT.json [--licenses 50000] [--users 10000]

The settings come from the environment, as for the server.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Cursor

from benchmarks.population import FEATURES, PASSWORD, PRODUCT, TIERS, License, email_of, licenses, pairs_of
from devforge_api.app import create_app
from devforge_api.auth.tokens import make_access_token
from devforge_api.core.db import db, uuid7
from devforge_api.core.encryption import encrypt, fingerprint
from devforge_api.core.keys import ensure_signing_keys
from devforge_api.core.passwords import hash_password

TOKEN_LIFETIME = timedelta(hours=2)  # longer than a run, unlike a real one


def main() -> None:
    """Seed and write the material."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--licenses", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--tokens", type=int, default=2_000)
    options = parser.parse_args()
    app = create_app()
    with app.app_context():
        ensure_signing_keys()
        password_hash = hash_password(PASSWORD)
        raw: Any = db.engine.raw_connection()
        try:
            cursor = raw.cursor()
            users = _users(cursor, options.users, password_hash)
            found = licenses(options.licenses, datetime.now(UTC))
            _licenses(cursor, found)
            raw.commit()
            raw.driver_connection.autocommit = True
            cursor.execute("VACUUM ANALYZE")
        finally:
            raw.close()
        tokens = [
            make_access_token(
                user_id=user, session_id=session, token_version=1, role="user", lifetime=TOKEN_LIFETIME
            )
            for user, session in users[: options.tokens]
        ]
    emails = [email_of(number) for number in range(options.users)]
    material = {"pairs": pairs_of(found), "tokens": tokens, "emails": emails, "password_hash": password_hash}
    options.output.write_text(json.dumps(material))


def _users(cursor: Cursor[Any], count: int, password_hash: str) -> list[tuple[UUID, UUID]]:
    """Users with a session each; all have the same password, for it takes long to hash it anew."""
    now = datetime.now(UTC)
    people = [(uuid7(), uuid7()) for _ in range(count)]
    columns = (
        "id, email, email_key, name, role, status, settings, password_hash, token_version, version,"
        " created_at, updated_at"
    )
    with cursor.copy(f"COPY users ({columns}) FROM STDIN") as copy:
        for number, (user, _) in enumerate(people):
            email, name = email_of(number), f"User {number}"
            copy.write_row((user, email, email, name, "user", "active", "{}", password_hash, 1, 1, now, now))
    columns = (
        "id, user_id, counter, issued_at, expires_at, absolute_expires_at, device_name, last_seen_at,"
        " created_at"
    )
    later = now + timedelta(days=7)
    with cursor.copy(f"COPY sessions ({columns}) FROM STDIN") as copy:
        for user, session in people:
            copy.write_row((session, user, 0, now, later, later, "Benchmark", now, now))
    return people


def _policies(cursor: Cursor[Any], product: UUID) -> dict[str, UUID]:
    """The product with its policies and entitlements; the policies' ids by the tier's name."""
    stamp = "'{}', 1, now(), now()"
    cursor.execute(
        "INSERT INTO products (id, name, code, metadata, version, created_at, updated_at)"
        f" VALUES (%s, 'Studio', %s, {stamp})",
        (product, PRODUCT),
    )
    codes = {code: uuid7() for code in FEATURES}
    for code, entitlement_id in codes.items():
        cursor.execute(
            "INSERT INTO entitlements (id, name, code, metadata, version, created_at, updated_at)"
            f" VALUES (%s, %s, %s, {stamp})",
            (entitlement_id, code, code),
        )
    policies = {tier.name: uuid7() for tier in TIERS}
    for tier in TIERS:
        cursor.execute(
            "INSERT INTO policies (id, product_id, name, max_machines, floating, strict, metadata, version,"
            f" created_at, updated_at) VALUES (%s, %s, %s, %s, true, false, {stamp})",
            (policies[tier.name], product, tier.name, tier.max_machines),
        )
        for code in tier.features:
            cursor.execute(
                "INSERT INTO policy_entitlements VALUES (%s, %s)", (policies[tier.name], codes[code])
            )
    return policies


def _licenses(cursor: Cursor[Any], found: list[License]) -> None:
    now, product = datetime.now(UTC), uuid7()
    policies = _policies(cursor, product)
    sealed = encrypt("DF-BENCHMARK")  # the key itself is never read back
    ids = [uuid7() for _ in found]
    columns = (
        "id, policy_id, product_id, key_hash, encrypted_key, status, expires_at, machine_count, metadata,"
        " version, created_at, updated_at"
    )
    with cursor.copy(f"COPY licenses ({columns}) FROM STDIN") as copy:
        for license_id, license_ in zip(ids, found, strict=True):
            facts = (license_.status, license_.expires_at, len(license_.fingerprints), "{}", 1, now, now)
            policy = policies[license_.tier.name]
            copy.write_row((license_id, policy, product, fingerprint(license_.key), sealed, *facts))
    with cursor.copy("COPY machines (id, license_id, fingerprint, created_at) FROM STDIN") as copy:
        for license_id, license_ in zip(ids, found, strict=True):
            for machine in license_.fingerprints:
                copy.write_row((uuid7(), license_id, machine, now))


if __name__ == "__main__":
    main()
