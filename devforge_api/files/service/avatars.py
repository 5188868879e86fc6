"""Avatars: one for each user, which everybody may see."""

from __future__ import annotations

from uuid import UUID

from devforge_api.core import configured
from devforge_api.files import queries
from devforge_api.files.models import File, FileStatus, Purpose
from devforge_api.files.service.removal import remove
from devforge_api.users import service as users
from devforge_api.users.service import User

PATH = "/api/v1/files/avatars/"


def address_of(file_id: UUID) -> str:
    """Where everybody sees an avatar."""
    return configured.address(f"{PATH}{file_id}")


def lock_owner(user_id: UUID) -> User | None:
    """Lock a user before their avatars: whoever changes these comes this way. None: deleted meanwhile."""
    return users.find_user(user_id, for_update=True)


def settle(user_id: UUID) -> None:
    """An avatar can be had now: it takes the place of older ones, unless a newer one is there.

    :param user_id: locked.
    """
    found = queries.avatars_of(user_id)
    shown = [one for one in found if one.status is FileStatus.AVAILABLE]
    newest = max(shown, key=lambda one: (one.created_at, one.id))
    for one in found:
        # Newer ones that are not looked through yet will come here by themselves.
        if one is not newest and (one.created_at, one.id) < (newest.created_at, newest.id):
            remove(one)
    user = lock_owner(user_id)
    if user is not None:
        users.update_user(user, {"avatar_url": address_of(newest.id)})


def take_away(user: User) -> bool:
    """Remove a user's avatar, also one that is on its way. Returns whether there was any.

    :param user: locked.
    """
    found = queries.avatars_of(user.id)
    for one in found:
        remove(one)
    ours = configured.address(PATH)
    if user.avatar_url is not None and user.avatar_url.startswith(ours):
        users.update_user(user, {"avatar_url": None})
    return bool(found)


def lock_file(file_id: UUID, owner_id: UUID) -> File:
    """Lock a file in order to delete it, and its owner before it if it is an avatar.

    :raises FileNotFound: unknown, or another user's.
    """
    if queries.get_file(file_id, owner_id=owner_id).purpose is Purpose.AVATAR:
        lock_owner(owner_id)
    return queries.get_file(file_id, owner_id=owner_id, for_update=True)


def remove_file(file: File) -> None:
    """Delete a file, by `lock_file`; an avatar is not shown any more."""
    remove(file)
    if file.purpose is Purpose.AVATAR:
        user = lock_owner(file.user_id)
        if user is not None and user.avatar_url == address_of(file.id):
            users.update_user(user, {"avatar_url": None})
