"""The link of a letter that ends such letters (RFC 8058): sealed, and good as long as the letter is."""

from __future__ import annotations

from uuid import UUID

from devforge_api.core import signing
from devforge_api.core.configured import public_url
from devforge_api.notifications.errors import UnsubscribeLinkInvalid
from devforge_api.notifications.models import Channel, Kind
from devforge_api.notifications.service import preferences

PAGE = "/notifications/unsubscribe"
_PURPOSE = "unsubscribe"


def unsubscribe_url(user_id: UUID, kind: Kind) -> str:
    """Where one user ends the letters of one kind; who has it needs no sign-in."""
    token = signing.seal(_PURPOSE, user_id.bytes + kind.value.encode())
    return f"{public_url()}{PAGE}?token={token}"


def read_link(token: str) -> tuple[UUID, Kind]:
    """Whose letters of which kind a link ends.

    :raises UnsubscribeLinkInvalid: it is none of ours.
    """
    body = signing.unseal(_PURPOSE, token)
    kinds = {kind.value: kind for kind in Kind}
    kind = kinds.get(body[16:].decode(errors="replace")) if body else None
    if body is None or kind is None:
        raise UnsubscribeLinkInvalid
    return UUID(bytes=body[:16]), kind


def unsubscribe(token: str) -> Kind:
    """End the letters that a link stands for; of an account that is gone there are none.

    :raises UnsubscribeLinkInvalid: it is none of ours.
    """
    user_id, kind = read_link(token)
    preferences.turn_off(user_id, kind, Channel.MAIL)
    return kind
