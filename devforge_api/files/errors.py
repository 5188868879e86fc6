"""Refusals about files."""

from devforge_api.core.errors import Conflict, DomainError, NotFound, Unavailable


class FileNotFound(NotFound):
    """There is no such file."""

    code = "FILE_NOT_FOUND"


class ContentUnavailable(NotFound):
    """This file cannot be had: it is not looked through yet, or was found to be harmful or broken."""

    code = "CONTENT_NOT_FOUND"


class LinkExpired(DomainError):
    """This link has ended; ask for the file again."""

    status, code = 410, "LINK_EXPIRED"


class LinkNotFound(NotFound):
    """There is no such link."""

    code = "LINK_NOT_FOUND"


class AvatarNotFound(NotFound):
    """There is no such picture."""

    code = "AVATAR_NOT_FOUND"


class AvatarReplaced(Conflict):
    """Another picture has been put in this one's place meanwhile, or it was removed."""

    code = "AVATAR_REPLACED"


class FileTypeRefused(DomainError):
    """Files of this type are not taken here, or the file is not what its name says."""

    status, code, field = 422, "FILE_TYPE_REFUSED", "file"


class FileRejected(DomainError):
    """This file was found to be harmful or broken; see reason."""

    status, code, field = 422, "FILE_REJECTED", "file"


class QuotaExceeded(DomainError):
    """There is no room for this file; delete others first."""

    status, code = 409, "QUOTA_EXCEEDED"


class DownloadsBusy(Unavailable):
    """Too many files are on their way to you, or to others, at once; try again shortly."""

    code = "DOWNLOADS_BUSY"


class RangeUnsatisfiable(DomainError):
    """The file does not have these bytes."""

    status, code = 416, "RANGE_NOT_SATISFIABLE"

    def headers(self) -> dict[str, str]:
        """How many there are (RFC 9110 section 15.5.17)."""
        return {"Content-Range": f"bytes */{self.params['size']}"}
