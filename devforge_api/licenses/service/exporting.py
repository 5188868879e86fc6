"""Every licence, a page at a time, as one reads it in a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select

from devforge_api.audit import service as audit
from devforge_api.core.clock import rfc3339
from devforge_api.core.db import db
from devforge_api.core.encryption import decrypt
from devforge_api.licenses.models import License, Policy, Product
from devforge_api.users.service import User

PAGE = 1_000
COLUMNS = (
    "id", "policy", "status", "email", "owner_id", "expires_at", "max_machines", "max_cores", "max_users",
    "max_uses", "machine_count", "core_count", "uses", "created_at", "metadata",
)  # fmt: skip


def note_export(*, with_keys: bool) -> int:
    """Put into the audit trail that all licences are handed out. Returns how many there are."""
    changes = {"with_keys": (None, with_keys)}
    audit.record("license.exported", target_type="license", target_id=None, changes=changes)
    return db.session.scalar(select(func.count()).select_from(License)) or 0


def rows(*, with_keys: bool) -> Iterator[dict[str, Any]]:
    """All licences in the order of their ids, by the names of `COLUMNS`; outside of a transaction.

    :param with_keys: with ``key``, in full.
    """
    columns = License.__table__.c
    page = (
        select(*columns, Product.code, Policy.name, User.email)
        .join(Policy, Policy.id == License.policy_id)
        .join(Product, Product.id == Policy.product_id)
        .outerjoin(User, User.id == License.user_id)
        .order_by(License.id)
        .limit(PAGE)
    )
    last = None
    while True:
        found = db.session.execute(page if last is None else page.where(License.id > last)).mappings().all()
        for row in found:
            shown = {name: row[name] for name in COLUMNS if name in row}
            shown |= {
                "policy": f"{row['code']}/{row['name']}",
                "status": row["status"].value,
                "owner_id": row["user_id"],
                "expires_at": row["expires_at"] and rfc3339(row["expires_at"]),
                "created_at": rfc3339(row["created_at"]),
                "metadata": json.dumps(row["metadata"], ensure_ascii=False) if row["metadata"] else None,
            }
            yield shown | ({"key": decrypt(row["encrypted_key"])} if with_keys else {})
        if len(found) < PAGE:
            return
        last = found[-1]["id"]
