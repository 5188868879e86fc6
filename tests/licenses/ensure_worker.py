"""A process for the crash test: asks for a seat and a lease, and dies where it is told to.

``CRASH_AT`` names where it kills itself: ``seat`` (the machine's row is written, and no more),
``told`` (all is written, and not committed) or ``lease`` (committed).
"""

from __future__ import annotations

import os
import signal
from typing import Any
from unittest.mock import patch

from devforge_api.app import create_app


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


STEPS = {"seat": "seats.add_components", "told": "ensuring.known_facts", "lease": "leases.lease"}


def work() -> None:
    """One call for the key and fingerprint of the environment."""
    body = {"key": os.environ["LICENSE_KEY"], "fingerprint": os.environ["FINGERPRINT"]}
    client = create_app().test_client()
    with patch(f"devforge_api.licenses.service.{STEPS[os.environ['CRASH_AT']]}", die):
        client.post("/api/v1/licenses/ensure", json=body)
