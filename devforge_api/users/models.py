"""Accounts."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Dialect, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from devforge_api.core.db import JsonValue, Model, Timestamps, checked_enum, uuid7


class Role(StrEnum):
    """From least to most; support and admin are staff."""

    USER = "user"
    DEVELOPER = "developer"
    SUPPORT = "support"
    ADMIN = "admin"


class UserStatus(StrEnum):
    """``disabled``: cannot sign in, and their licences answer BANNED."""

    ACTIVE = "active"
    DISABLED = "disabled"


def email_key(email: str) -> str:
    """What addresses are compared by: NFC and case-folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email.strip()).casefold())


class EmailKey(TypeDecorator[str]):
    """A column that stores, and is compared with, addresses by their `email_key`."""

    impl = String(800)  # folding may lengthen
    cache_ok = True
    is_folded = True  # and so is what it is compared with: searching need not fold again

    @property
    def python_type(self) -> type[str]:
        """What lists filter by; a decorator's own answer is ``object``."""
        return str

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Fold what is stored or looked for; folding twice changes nothing."""
        return None if value is None else email_key(value)


class User(Timestamps, Model):
    """One account."""

    __tablename__ = "users"
    __table_args__ = (
        Index("ix_users_created_at_id", "created_at", "id"),
        Index("ix_users_role_created_at", "role", "created_at", "id"),
        Index("ix_users_status_created_at", "status", "created_at", "id"),
        Index("ix_users_last_login_id", "last_login", "id"),
        Index("ix_users_email_id", "email", "id"),
        Index("ix_users_name_id", "name", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(EmailKey, unique=True)
    email_verified_at: Mapped[datetime | None]
    name: Mapped[str | None]
    avatar_url: Mapped[str | None] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(checked_enum(Role), default=Role.USER)
    status: Mapped[UserStatus] = mapped_column(checked_enum(UserStatus), default=UserStatus.ACTIVE)
    settings: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)
    password_hash: Mapped[str | None]  # argon2id in PHC form; None: no password sign-in
    locale: Mapped[str | None] = mapped_column(String(35))  # BCP 47; of mail and pages
    terms_version: Mapped[str | None] = mapped_column(String(64))  # accepted last
    terms_accepted_at: Mapped[datetime | None]
    token_version: Mapped[int] = mapped_column(default=1)
    last_login: Mapped[datetime | None]
    unlocked_at: Mapped[datetime | None]  # by an operator; failed sign-ins before it do not count
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}

    @property
    def email_verified(self) -> bool:
        """Whether the address is known to be the user's."""
        return self.email_verified_at is not None

    @property
    def is_active(self) -> bool:
        """Whether the user may act."""
        return self.status is UserStatus.ACTIVE
