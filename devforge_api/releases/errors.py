"""Refusals about releases."""

from devforge_api.core.errors import Conflict, NotFound


class ReleaseNotFound(NotFound):
    """There is no such release."""

    code = "RELEASE_NOT_FOUND"


class VersionTaken(Conflict):
    """This version of the product is there already; a withdrawn one's number is not used again either."""

    code, field = "VERSION_TAKEN", "version"


class ReleaseNotDraft(Conflict):
    """Only a draft can be published."""

    code = "RELEASE_NOT_DRAFT"


class ReleaseNotPublished(Conflict):
    """Only a published release can be withdrawn."""

    code = "RELEASE_NOT_PUBLISHED"


class ReleaseKept(Conflict):
    """What was published stays known: withdraw it instead."""

    code = "RELEASE_KEPT"
