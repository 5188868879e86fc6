"""The words in which a verdict's explanation says what helps."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What helps, for programs."""

    CHECK_KEY = "check_key"
    WAIT = "wait"
    CONTACT_SUPPORT = "contact_support"
    RENEW = "renew"
    CHECK_IN = "check_in"
    USE_ANOTHER_KEY = "use_another_key"
    ADD_USER = "add_user"
    UPGRADE = "upgrade"
    ACTIVATE = "activate"
    REACTIVATE = "reactivate"
    PING = "ping"
    RELEASE_MACHINE = "release_machine"
    REMOVE_USER = "remove_user"
    USE_VERSION = "use_version"
    STATE_SCOPE = "state_scope"
