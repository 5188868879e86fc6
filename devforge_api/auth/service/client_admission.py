"""From a browser in which somebody is signed in to an application's session: `admission`'s other half."""

from __future__ import annotations

from uuid import UUID

from devforge_api.auth import queries
from devforge_api.auth.errors import AccountDisabled
from devforge_api.auth.service.sessions import Tokens, open_session
from devforge_api.users.service import User


def admit_client(
    user: User, *, client_id: str, name: str, approved_in: UUID, session_id: UUID | None = None
) -> Tokens:
    """Open a session for an application, on the word of the browser session that has approved it.

    Both factors were proven there; what may have changed since is asked again.

    :param user: locked in this transaction.
    :param name: the application's, by which the user finds it among their devices.
    :raises AccountDisabled: the user may not act. :raises SessionNotFound: that session is over.
    """
    if not user.is_active:
        raise AccountDisabled
    queries.get_session(approved_in, user_id=user.id)
    return open_session(
        user, device_name=name, method="application", client_id=client_id, session_id=session_id
    )
