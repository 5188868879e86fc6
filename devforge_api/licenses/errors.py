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


class LicenseNotPending(Conflict):
    """Only a pending licence can be fulfilled."""

    code = "LICENSE_NOT_PENDING"


class LicensePending(Conflict):
    """This licence waits for its order; fulfil it first."""

    code = "LICENSE_PENDING"


class LicenseNotBegun(Conflict):
    """The time of this licence has not begun; there is nothing to renew yet."""

    code = "LICENSE_NOT_BEGUN"


class CheckInNotRequired(Conflict):
    """The policy of this licence asks for no check-in."""

    code = "CHECK_IN_NOT_REQUIRED"


class UsesLimitExceeded(Conflict):
    """This licence has no such number of uses left."""

    code = "USES_LIMIT_EXCEEDED"


class UsesInvalid(Conflict):
    """Uses cannot fall below zero."""

    code = "USES_INVALID"


class FingerprintTaken(Conflict):
    """Another licence holds a seat for the same fingerprint."""

    code = "FINGERPRINT_TAKEN"


class KeyTaken(Conflict):
    """This key belongs to another licence."""

    code, field = "KEY_TAKEN", "key"


class LicensePerpetual(DomainError):
    """A licence without expiry cannot be renewed."""

    status, code = 422, "LICENSE_PERPETUAL"


class MachineLimitExceeded(Conflict):
    """Every seat of this licence is taken."""

    code = "MACHINE_LIMIT_EXCEEDED"


class CoreLimitExceeded(Conflict):
    """With this machine, the licence would have more cores than it allows."""

    code = "CORE_LIMIT_EXCEEDED"


class MachineDead(Conflict):
    """The heartbeat of this machine stopped too long ago; it needs a new seat."""

    code = "MACHINE_DEAD"


class TakeoverNotAllowed(Conflict):
    """The policy of this licence lets no machine take over another one's seat."""

    code = "TAKEOVER_NOT_ALLOWED"


class TakeoverCooldown(Conflict):
    """A seat of this licence was taken over lately; wait until it is allowed again."""

    code = "TAKEOVER_COOLDOWN"


class UserLimitExceeded(Conflict):
    """As many people use this licence as it allows."""

    code = "USER_LIMIT_EXCEEDED"


class LicenseUserNotFound(NotFound):
    """Nobody of this id was added to this licence."""

    code = "LICENSE_USER_NOT_FOUND"


class TrialUsed(Conflict):
    """There is one trial of a product for each user and machine, and this one has had it."""

    code = "TRIAL_USED"


class VerdictRefused(Conflict):
    """The licence does not admit a machine; the code is the verdict of its validation."""

    code: ClassVar[str] = "LICENSE_REFUSED"

    def __init__(self, verdict: str, detail: str) -> None:
        """:param verdict: becomes the error's code."""
        super().__init__(detail)
        self.__dict__["code"] = verdict
