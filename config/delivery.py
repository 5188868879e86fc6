"""How the settings of what reaches people and their programs go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def problem(values: Mapping[str, Any]) -> str | None:
    """What is wrong with them; None: nothing."""
    if values["LOCAL_DESTINATIONS"] != "refused" and values["REQUIRE_STRONG_SECRETS"]:
        return (
            "DEVFORGE_LOCAL_DESTINATIONS=loopback lets users reach services of this machine; it is "
            f"refused in {values['ENV']}."
        )
    return None


def neighbor(port: int) -> int:
    """The port of the realtime process beside the server's."""
    return port + 1 if port < 65535 else port - 1


def realtime_url(values: Mapping[str, Any]) -> str:
    """Where the realtime process is, if nothing else is said: beside the API, by its own port."""
    parts = urlsplit(values["PUBLIC_URL"])
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{values['REALTIME_PORT']}"
