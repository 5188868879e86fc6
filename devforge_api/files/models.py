"""Files and their variants."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, Timestamps, checked_enum, uuid7

VARIANTS = {"small": 128, "medium": 512}  # pixels of the longer side, at most


class Purpose(StrEnum):
    """What a file is for. ``avatar``: a picture of its user, which everybody may see."""

    ATTACHMENT = "attachment"
    AVATAR = "avatar"


class FileStatus(StrEnum):
    """``pending`` → ``scanned`` → ``available``, or ``quarantined`` from either."""

    PENDING = "pending"
    SCANNED = "scanned"
    AVAILABLE = "available"
    QUARANTINED = "quarantined"


class File(Timestamps, Model):
    """One uploaded file. Its content never changes once it is available."""

    __tablename__ = "files"
    __table_args__ = (
        Index("ix_files_user_id_created_at", "user_id", "created_at", "id"),
        Index("ix_files_user_id_size", "user_id", "size", "id"),
        Index("ix_files_user_id_status_created_at", "user_id", "status", "created_at", "id"),
        Index("ix_files_user_id_purpose_created_at", "user_id", "purpose", "created_at", "id"),
        Index("ix_files_user_id_media_type_created_at", "user_id", "media_type", "created_at", "id"),
        Index("ix_files_status_due_at", "status", "due_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    # Restricted: the eraser removes the contents too, and then the rows.
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    purpose: Mapped[Purpose] = mapped_column(checked_enum(Purpose), default=Purpose.ATTACHMENT)
    status: Mapped[FileStatus] = mapped_column(checked_enum(FileStatus), default=FileStatus.PENDING)
    reason: Mapped[str | None] = mapped_column(String(64))  # why it is quarantined, a code
    name: Mapped[str]  # as its user called it, made harmless
    media_type: Mapped[str] = mapped_column(String(127))  # by its bytes
    size: Mapped[int] = mapped_column(BigInteger)  # bytes of the content, as it is kept
    sha256: Mapped[str] = mapped_column(String(64))  # of the same
    # Bytes that its user has sent, which count for the quota: making a picture anew changes no account.
    counted_size: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int | None]  # pixels, of a picture
    height: Mapped[int | None]
    storage_key: Mapped[str] = mapped_column(String(80), unique=True)
    # While it is pending or scanned: when whoever works on it is taken for gone.
    due_at: Mapped[datetime] = mapped_column(default=utc_now)
    # How often somebody else has begun with it since, and has not come to an end.
    attempts: Mapped[int] = mapped_column(default=0)

    variants: Mapped[list[FileVariant]] = relationship(
        lazy="raise", order_by="FileVariant.name.desc()", viewonly=True
    )


class FileVariant(Model):
    """A smaller picture of a file."""

    __tablename__ = "file_variants"

    file_id: Mapped[UUID] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(16), primary_key=True)  # small, medium
    media_type: Mapped[str] = mapped_column(String(127))
    size: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int]
    height: Mapped[int]
    storage_key: Mapped[str] = mapped_column(String(80), unique=True)
