"""What can be listed and looked up about releases."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, Uuid, column, select, table

from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.releases.errors import ReleaseNotFound
from devforge_api.releases.models import Release

RELEASES = Listing(
    "ReleaseQuery",
    key=Release.id,
    filters={
        "product_id": Release.product_id,
        "version": Release.version,
        "status": Release.status,
        "published_at": Release.published_at,
        "created_at": Release.created_at,
    },
    sorts={"created_at": Release.created_at, "published_at": Release.published_at},
)
# By its table's name, as foreign keys do: products belong to a domain above this one.
PRODUCTS = table("products", column("id", Uuid()), column("code"))


def get_release(release_id: UUID, *, for_update: bool = False) -> Release:
    """One release.

    :param for_update: lock it until commit.
    :raises ReleaseNotFound: there is none.
    """
    return _one(select(Release).where(Release.id == release_id), for_update=for_update)


def find_release(product_id: UUID, version: str, *, for_update: bool = False) -> Release | None:
    """The release of a product with this version."""
    statement = select(Release).where(Release.product_id == product_id, Release.version == version)
    try:
        return _one(statement, for_update=for_update)
    except ReleaseNotFound:
        return None


def product_of_code(code: str) -> UUID | None:
    """The id of the product with this code."""
    return db.session.scalar(select(PRODUCTS.c.id).where(PRODUCTS.c.code == code))


def _one(statement: Select[Release], *, for_update: bool) -> Release:
    if for_update:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    release = db.session.scalar(statement)
    if release is None:
        raise ReleaseNotFound
    return release
