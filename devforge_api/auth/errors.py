"""Refusals about signing in."""

from devforge_api.core.errors import Conflict, DomainError, NotFound, RetryLater


class ProofRefused(DomainError):
    """Base of the ways in which somebody has not proven who they are."""

    status = 401

    def headers(self) -> dict[str, str]:
        """Every 401 names a way to authenticate (RFC 9110 section 15.5.2)."""
        return {"WWW-Authenticate": 'Bearer realm="dev-forge"'}


class InvalidCredentials(ProofRefused):
    """Address or password is wrong."""

    code = "INVALID_CREDENTIALS"


class MfaCodeInvalid(ProofRefused):
    """This code is wrong, or was used before."""

    code = "MFA_CODE_INVALID"


class MfaChallengeInvalid(ProofRefused):
    """This sign-in waits for no code any more; begin again."""

    code = "MFA_CHALLENGE_INVALID"


class MfaAlreadyEnabled(Conflict):
    """This account has a second factor already; remove it first."""

    code = "MFA_ALREADY_ENABLED"


class MfaNotEnabled(Conflict):
    """This account has no second factor; enrol one first."""

    code = "MFA_NOT_ENABLED"


class AccountDisabled(DomainError):
    """This account is disabled; ask support."""

    status, code = 403, "ACCOUNT_DISABLED"


class EmailNotVerified(DomainError):
    """Verify the address first."""

    status, code = 403, "EMAIL_NOT_VERIFIED"


class OneTimeTokenInvalid(DomainError):
    """This link or code was used, has expired, or is not one of ours; ask for a new one."""

    status, code = 410, "ONE_TIME_TOKEN_INVALID"


class AccessTokenNotFound(NotFound):
    """There is no such access token."""

    code = "ACCESS_TOKEN_NOT_FOUND"


class TooManyAccessTokens(Conflict):
    """This account has as many access tokens as it may have; revoke one first."""

    code = "ACCESS_TOKEN_LIMIT_REACHED"


class ServiceAccountNotFound(NotFound):
    """There is no such service account."""

    code = "SERVICE_ACCOUNT_NOT_FOUND"


class ServiceAccountDisabled(Conflict):
    """This service account is disabled; enable it first."""

    code = "SERVICE_ACCOUNT_DISABLED"


class TooManyServiceAccounts(Conflict):
    """This account has as many service accounts as it may have; delete one first."""

    code = "SERVICE_ACCOUNT_LIMIT_REACHED"


class SessionNotFound(NotFound):
    """There is no such session."""

    code = "SESSION_NOT_FOUND"


class DeviceCodeInvalid(NotFound):
    """No device waits for this code; look at its screen again."""

    code = "DEVICE_CODE_INVALID"


class ProviderNotFound(NotFound):
    """There is no such identity provider here."""

    code = "PROVIDER_NOT_FOUND"


class ProviderUnavailable(RetryLater):
    """The identity provider does not answer at the moment; try again shortly."""

    status, code = 503, "PROVIDER_UNAVAILABLE"


class ProviderDenied(DomainError):
    """The identity provider did not confirm who you are; sign in again, and agree there."""

    status, code = 403, "PROVIDER_DENIED"


class ProviderAnswerInvalid(DomainError):
    """What the identity provider answered cannot be trusted; nobody was signed in."""

    status, code = 403, "PROVIDER_ANSWER_INVALID"


class ProviderStateInvalid(DomainError):
    """This sign-in began in another browser, is over, or took too long; begin again."""

    status, code = 403, "PROVIDER_STATE_INVALID"


class ProviderEmailMissing(DomainError):
    """The identity provider tells no address of yours, and an account needs one."""

    status, code = 422, "PROVIDER_EMAIL_MISSING"


class LinkRequired(Conflict):
    """This address has an account; sign in to it in another way, and link the provider there."""

    code = "LINK_REQUIRED"


class IdentityTaken(Conflict):
    """This identity belongs to another account."""

    code = "IDENTITY_TAKEN"


class LastSignInMethod(Conflict):
    """This is the only way into the account; set a password or link another provider first."""

    code = "LAST_SIGN_IN_METHOD"


class IdentityNotFound(NotFound):
    """There is no such identity."""

    code = "IDENTITY_NOT_FOUND"
