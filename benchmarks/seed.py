"""Fill a migrated PostgreSQL with believable volumes, by COPY, and write the requests' material.

    python -m benchmarks.seed OUTPUT.json [--licenses 50000] [--users 10000]

The settings come from the environment, as for the server. Everything follows from a fixed seed.
"""

from __future__ import annotations

import argparse
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Cursor

from devforge_api.app import create_app
from devforge_api.auth.tokens import make_access_token
from devforge_api.core.db import db, uuid7
from devforge_api.core.encryption import encrypt, fingerprint
from devforge_api.core.keys import ensure_signing_keys

TIERS = (
    ("solo", 1, ["sync"]),
    ("team", 3, ["ai", "sync"]),
    ("enterprise", 5, ["ai", "audit", "sso", "sync"]),
)
MACHINES_MOST = 3
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
        raw: Any = db.engine.raw_connection()
        try:
            cursor = raw.cursor()
            users = _users(cursor, options.users)
            pairs = _licenses(cursor, options.licenses)
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
    options.output.write_text(json.dumps({"pairs": pairs[:40_000], "tokens": tokens}))


def _users(cursor: Cursor[Any], count: int) -> list[tuple[UUID, UUID]]:
    now = datetime.now(UTC)
    people = [(uuid7(), uuid7()) for _ in range(count)]
    columns = (
        "id, email, email_key, name, role, status, settings, token_version, version, created_at, updated_at"
    )
    with cursor.copy(f"COPY users ({columns}) FROM STDIN") as copy:
        for number, (user, _) in enumerate(people):
            email = f"user{number}@example.com"
            copy.write_row((user, email, email, f"User {number}", "user", "active", "{}", 1, 1, now, now))
    columns = (
        "id, user_id, counter, issued_at, expires_at, absolute_expires_at, device_name, last_seen_at,"
        " created_at"
    )
    later = now + timedelta(days=7)
    with cursor.copy(f"COPY sessions ({columns}) FROM STDIN") as copy:
        for user, session in people:
            copy.write_row((session, user, 0, now, later, later, "Benchmark", now, now))
    return people


def _licenses(cursor: Cursor[Any], count: int) -> list[tuple[str, str]]:
    chance, now = random.Random(7), datetime.now(UTC)
    product = uuid7()
    codes = {code: uuid7() for code in ("ai", "audit", "sso", "sync")}
    stamp = "'{}', 1, now(), now()"
    cursor.execute(
        f"INSERT INTO products (id, name, code, metadata, version, created_at, updated_at)"
        f" VALUES (%s, 'Studio', 'studio', {stamp})",
        (product,),
    )
    for code, entitlement_id in codes.items():
        cursor.execute(
            f"INSERT INTO entitlements (id, name, code, metadata, version, created_at, updated_at)"
            f" VALUES (%s, %s, %s, {stamp})",
            (entitlement_id, code, code),
        )
    policies = []
    for name, machines, included in TIERS:
        policies.append(uuid7())
        cursor.execute(
            "INSERT INTO policies (id, product_id, name, max_machines, floating, strict, metadata, version,"
            f" created_at, updated_at) VALUES (%s, %s, %s, %s, true, false, {stamp})",
            (policies[-1], product, name, machines),
        )
        for code in included:
            cursor.execute("INSERT INTO policy_entitlements VALUES (%s, %s)", (policies[-1], codes[code]))
    pairs: list[tuple[str, str]] = []
    rows, seats = [], []
    sealed = encrypt("DF-BENCHMARK")  # the key itself is never read back
    for _ in range(count):
        key = "-".join("".join(chance.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=5)) for _ in range(5))
        status = chance.choices(["active", "suspended", "revoked"], [94, 3, 3])[0]
        expires = now + timedelta(days=chance.randint(-20, 600))
        license_id, machines = uuid7(), chance.randint(1, MACHINES_MOST)
        policy = chance.choice(policies)
        rows.append(
            (
                license_id,
                policy,
                product,
                fingerprint(key),
                sealed,
                status,
                expires,
                machines,
                "{}",
                1,
                now,
                now,
            )
        )
        for _ in range(machines):
            machine = f"{chance.getrandbits(256):064x}"
            seats.append((uuid7(), license_id, machine, now))
            pairs.append((key, machine))
    columns = (
        "id, policy_id, product_id, key_hash, encrypted_key, status, expires_at, machine_count, metadata,"
        " version, created_at, updated_at"
    )
    with cursor.copy(f"COPY licenses ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    with cursor.copy("COPY machines (id, license_id, fingerprint, created_at) FROM STDIN") as copy:
        for seat in seats:
            copy.write_row(seat)
    chance.shuffle(pairs)
    return pairs


if __name__ == "__main__":
    main()
