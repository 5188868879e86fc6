"""Are the identity providers there?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from devforge_api.core.errors import DomainError
from devforge_api.ops.doctor.report import Finding, Health

if TYPE_CHECKING:
    from devforge_api.auth.service.providers import Provider


def provider(one: Provider) -> Iterator[Finding]:
    """It publishes what a sign-in needs. GitHub publishes nothing, and is not asked."""
    part = f"sign-in by {one.settings.name}"
    try:
        yield Finding(part, Health.OK, f"sends browsers to {one.look()}")
    except DomainError as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else "its discovery document is not usable"
        yield Finding(
            part,
            Health.WARNING,
            f"{one.settings.issuer}: {cause}",
            "check the issuer in DEVFORGE_IDENTITY_PROVIDERS, and whether this host may call it",
        )
