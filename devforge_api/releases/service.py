"""A release's life: drafted, published, perhaps withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from devforge_api.audit import service as audit
from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed
from devforge_api.core.outbox import emit
from devforge_api.releases.errors import ReleaseKept, ReleaseNotDraft, ReleaseNotPublished, VersionTaken
from devforge_api.releases.models import Release, ReleaseStatus
from devforge_api.releases.queries import find_release


def draft(*, product_id: UUID, version: str, metadata_: dict[str, Any] | None = None) -> Release:
    """Make a draft.

    :raises VersionTaken: the product has this version. :raises ValidationFailed: unknown product.
    """
    release = Release(product_id=product_id, version=version, metadata_=metadata_ or {})
    try:
        with db.session.begin_nested():
            db.session.add(release)
            db.session.flush()
    except IntegrityError as error:
        if find_release(product_id, version) is None:
            raise ValidationFailed.of("product_id", "There is no such product.", "NOT_FOUND") from error
        raise VersionTaken from error
    _note("created", release, {"product_id": (None, product_id), "version": (None, version)})
    return release


def change(release: Release, values: Mapping[str, Any]) -> Release:
    """Change a locked release; its version only as long as nobody has it.

    :raises VersionTaken: the product has this version. :raises ValidationFailed: another product, or
        another version of what was published.
    """
    if values.get("product_id", release.product_id) != release.product_id:
        raise ValidationFailed.of("product_id", "A release stays with its product.", "IMMUTABLE")
    renamed = values.get("version", release.version) != release.version
    if renamed and release.status is not ReleaseStatus.DRAFT:
        raise ValidationFailed.of("version", "What was published keeps its version.", "IMMUTABLE")
    changes = audit.apply(release, values)
    if changes:
        try:
            with db.session.begin_nested():
                db.session.flush()
        except IntegrityError as error:
            raise VersionTaken from error
        _note("updated", release, changes)
    return release


def publish(release: Release, *, at: datetime) -> Release:
    """Publish a locked draft.

    :param at: since when it counts as published; before, licences do not cover it.
    :raises ReleaseNotDraft: it has been published.
    """
    if release.status is not ReleaseStatus.DRAFT:
        raise ReleaseNotDraft(None, status=release.status)
    return _move(release, "published", {"status": ReleaseStatus.PUBLISHED, "published_at": at})


def yank(release: Release, *, reason: str | None = None) -> Release:
    """Withdraw a locked release for good: no licence covers it, and its version is not used again.

    :raises ReleaseNotPublished: it is a draft, or withdrawn already.
    """
    if release.status is not ReleaseStatus.PUBLISHED:
        raise ReleaseNotPublished(None, status=release.status)
    return _move(release, "yanked", {"status": ReleaseStatus.YANKED, "yank_reason": reason})


def remove(release: Release) -> None:
    """Delete a locked draft. :raises ReleaseKept: it was published once."""
    if release.status is not ReleaseStatus.DRAFT:
        raise ReleaseKept(None, status=release.status)
    _note("deleted", release, {})
    db.session.delete(release)
    db.session.flush()


def _move(release: Release, verb: str, values: Mapping[str, Any]) -> Release:
    changes = audit.apply(release, values)
    db.session.flush()
    _note(verb, release, changes)
    emit(f"release.{verb}", release_id=str(release.id), product_id=str(release.product_id))
    return release


def _note(verb: str, release: Release, changes: Mapping[str, tuple[Any, Any]]) -> None:
    audit.record(f"release.{verb}", target_type="release", target_id=release.id, changes=changes)
