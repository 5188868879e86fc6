"""The releases of products."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.db import JsonValue, Model, Timestamps, checked_enum, uuid7


class ReleaseStatus(StrEnum):
    """``yanked``: published once, and withdrawn; its number is not used again."""

    DRAFT = "draft"
    PUBLISHED = "published"
    YANKED = "yanked"


class Release(Timestamps, Model):
    """A version of a product."""

    __tablename__ = "releases"
    __table_args__ = (
        UniqueConstraint("product_id", "version"),
        CheckConstraint("status = 'draft' OR published_at IS NOT NULL", name="published_at_known"),
        Index("ix_releases_created_at_id", "created_at", "id"),
        Index("ix_releases_published_at_id", "published_at", "id"),
        Index("ix_releases_product_id_created_at", "product_id", "created_at", "id"),
        Index("ix_releases_status_created_at", "status", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id", ondelete="RESTRICT"))
    version: Mapped[str]
    status: Mapped[ReleaseStatus] = mapped_column(checked_enum(ReleaseStatus), default=ReleaseStatus.DRAFT)
    published_at: Mapped[datetime | None]
    yank_reason: Mapped[str | None] = mapped_column(Text)  # in the words of whoever withdrew it
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JsonValue, default=dict)
    revision: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": revision}
