"""Refusals about licences."""

from typing import ClassVar

from devforge_api.core.errors import Conflict, DomainError, NotFound


class ProductNotFound(NotFound):
    """There is no such product."""

    code = "PRODUCT_NOT_FOUND"


class PolicyNotFound(NotFound):
    """There is no such policy."""

    code = "POLICY_NOT_FOUND"


class EntitlementNotFound(NotFound):
    """There is no such entitlement."""

    code = "ENTITLEMENT_NOT_FOUND"


class LicenseNotFound(NotFound):
    """There is no such licence."""

    code = "LICENSE_NOT_FOUND"


class MachineNotFound(NotFound):
    """There is no such machine on this licence."""

    code = "MACHINE_NOT_FOUND"


class CodeTaken(Conflict):
    """This code is in use already."""

    code, field = "CODE_TAKEN", "code"


class InUse(Conflict):
    """Something still refers to this; remove that first."""

    code = "IN_USE"


class LicenseNotActive(Conflict):
    """Only an active licence can be suspended."""

    code = "LICENSE_NOT_ACTIVE"


class LicenseNotSuspended(Conflict):
    """Only a suspended licence can be reinstated."""

    code = "LICENSE_NOT_SUSPENDED"


class LicenseAlreadyRevoked(Conflict):
    """This licence is revoked, and revocation is for good."""

    code = "LICENSE_ALREADY_REVOKED"


class LicensePerpetual(DomainError):
    """A licence without expiry cannot be renewed."""

    status, code = 422, "LICENSE_PERPETUAL"


class MachineLimitExceeded(Conflict):
    """Every seat of this licence is taken."""

    code = "MACHINE_LIMIT_EXCEEDED"


class UserLimitExceeded(Conflict):
    """As many people use this licence as it allows."""

    code = "USER_LIMIT_EXCEEDED"


class LicenseUserNotFound(NotFound):
    """Nobody of this id was added to this licence."""

    code = "LICENSE_USER_NOT_FOUND"


class TrialUsed(Conflict):
    """There is one trial of a product for each user and machine, and this one has had it."""

    code = "TRIAL_USED"


class VerdictRefused(DomainError):
    """The licence does not admit a machine; the code is the verdict of its validation."""

    status = 409
    code: ClassVar[str] = "LICENSE_REFUSED"

    def __init__(self, verdict: str, detail: str) -> None:
        """:param verdict: becomes the error's code."""
        super().__init__(detail)
        self.__dict__["code"] = verdict
