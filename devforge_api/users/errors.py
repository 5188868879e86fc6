"""Refusals about accounts."""

from devforge_api.core.errors import Conflict, DomainError, NotFound


class UserNotFound(NotFound):
    """There is no such user."""

    code = "USER_NOT_FOUND"


class EmailTaken(Conflict):
    """This address already has an account."""

    code, field = "EMAIL_TAKEN", "email"


class LastAdmin(Conflict):
    """This is the last active admin; make another one first."""

    code = "LAST_ADMIN"


class TermsNotAccepted(DomainError):
    """Accept the terms in force, by their version."""

    status, code, field = 422, "TERMS_NOT_ACCEPTED", "accepted_terms"
