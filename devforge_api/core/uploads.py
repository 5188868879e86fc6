"""Files that come with a request: streamed to a file of their own, by a caller who is let in already.

Other bodies are read before the application is asked (ops/buffering.py). A route that takes a file is
asked first, and reads by itself: whoever has no token, or no room left, is refused before their bytes
are taken. Meanwhile the request lends its slot, so that slow uploads keep nobody waiting.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, BinaryIO, ClassVar
from uuid import UUID

from flask import Flask, current_app, request
from werkzeug.formparser import MultiPartParser
from werkzeug.wsgi import LimitedStream

from devforge_api.core.context import principal
from devforge_api.core.db import release_connection
from devforge_api.core.errors import DomainError, MalformedRequest, Unavailable, ValidationFailed
from devforge_api.core.places import Places
from devforge_api.core.security import View
from devforge_api.core.slots import lend_slot
from devforge_api.core.storage.base import StorageAway, scratch

# Of one process, and of one user in it: the threads that read bodies are not for uploads alone.
AT_ONCE, AT_ONCE_EACH = 40, 4
BODY_SECONDS = 15 * 60  # for one body, however slowly it comes
ENVELOPE = 64 * 1024  # bytes around the file: boundaries, headers, other fields
FORM_BYTES, PARTS = 256 * 1024, 8  # what the parser holds in memory: it reads by 64 KiB
DIGEST = "devforge.body_digest"  # stands for the body in an idempotency key's claim
_UPLOADING = "takes_upload"


class FileTooLarge(DomainError):
    """This file is larger than is taken here."""

    status, code, field = 413, "FILE_TOO_LARGE", "file"


class UploadsBusy(Unavailable):
    """Too many files are on their way at once; try again shortly."""

    code = "UPLOADS_BUSY"


class NotMultipart(DomainError):
    """Send the file as multipart/form-data, in a field named file."""

    status, code = 415, "NOT_MULTIPART"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has come.

    :param file: without a name; whoever serves the request closes it.
    :param name: as the client calls it: not to be trusted.
    :param size: bytes.
    :param fields: the form's other fields.
    """

    file: BinaryIO
    name: str
    size: int
    sha256: str
    fields: dict[str, str]


BeforeUpload = Callable[[int | None], None]


def receives(*, fields: tuple[str, ...] = (), before: BeforeUpload | None = None) -> Callable[[View], View]:
    """Read the request's one file, and give it to the view as its first argument.

    Stands where ``arguments`` would.

    :param fields: that may stand beside the file.
    :param before: called before a byte is read, with the declared length if there is one: may refuse.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def receiving(self_: Any, **view_args: Any) -> Any:
            with _received(fields, before) as upload:
                return view(self_, upload, **view_args)

        receiving.__dict__[_UPLOADING] = True
        receiving.__dict__["_apidoc"] = _documented(getattr(view, "_apidoc", {}), fields)
        return receiving  # type: ignore[return-value]

    return decorate


def _documented(apidoc: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    properties = {
        "file": {"type": "string", "format": "binary"},
        **{name: {"type": "string"} for name in fields},
    }
    content = {
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["file"], "properties": properties},
            "example": {"file": "(the bytes of a file)"},
        }
    }
    body = {"requestBody": {"required": True, "content": content}}
    raised = [*apidoc.get("raises", []), FileTooLarge, NotMultipart, UploadsBusy, StorageAway]
    return {**apidoc, "raises": raised, "manual_doc": {**apidoc.get("manual_doc", {}), **body}}


def reading_routes(app: Flask) -> set[tuple[str, str]]:
    """Method and path of every route that reads its body by itself.

    :raises RuntimeError: one whose path is not fixed, and could not be known before it is matched.
    """
    found = set()
    for rule in app.url_map.iter_rules():
        view_class = getattr(app.view_functions[rule.endpoint], "view_class", None)
        for method in rule.methods or ():
            if getattr(getattr(view_class, method.lower(), None), _UPLOADING, False):
                if rule.arguments:
                    raise RuntimeError(f"{rule.rule} takes a file and has arguments")
                found.add((method, rule.rule))
    return found


_places = Places()


@contextmanager
def place_for(user_id: UUID) -> Iterator[None]:
    """A place for one upload of a user. :raises UploadsBusy: there is none."""
    if not _places.take(user_id, at_once=AT_ONCE, each=AT_ONCE_EACH):
        raise UploadsBusy(2)
    try:
        yield
    finally:
        _places.give(user_id)


@contextmanager
def _received(fields: tuple[str, ...], before: BeforeUpload | None) -> Iterator[Upload]:
    if request.mimetype != "multipart/form-data":
        raise NotMultipart
    most: int = current_app.config["MAX_UPLOAD_BYTES"]
    declared = request.content_length
    if declared is not None and declared > most + ENVELOPE:
        raise FileTooLarge(None, limit=most)
    if before is not None:
        before(declared)
    spool = _Spool(most)
    try:
        # Until it is answered: a scanner, or who waits for a turn at decoding, holds the thread as well.
        with place_for(principal().user_id):
            release_connection()
            with lend_slot():
                form, files = _parse(spool, declared, most)
            upload = _checked(spool, form, files, fields)
            told = (upload.sha256, upload.name, sorted(upload.fields.items()))
            request.environ[DIGEST] = repr(told).encode()
            yield upload
    finally:
        spool.close()


def _parse(spool: _Spool, declared: int | None, most: int) -> tuple[Any, Any]:
    boundary = request.mimetype_params.get("boundary", "")
    try:
        parser = MultiPartParser(
            stream_factory=spool.begin, max_form_memory_size=FORM_BYTES, max_form_parts=PARTS
        )
        return parser.parse(_body(declared, most), boundary.encode("ascii"), declared)
    except ValueError as error:
        raise MalformedRequest("The form cannot be read, or it was cut short.") from error
    except OSError as error:  # of the spool: what goes wrong with the stream is told as 400
        raise StorageAway(f"the data folder cannot be written: {error.strerror}") from error


def _body(declared: int | None, most: int) -> Any:
    """The request's body, bounded; what is shorter than declared was cut off."""
    stream = _Timely(request.environ["wsgi.input"], time.monotonic() + BODY_SECONDS)
    if declared is not None:
        return LimitedStream(stream, declared)  # type: ignore[arg-type]
    if request.environ.get("wsgi.input_terminated"):
        return _Bounded(stream, most)
    raise MalformedRequest("Say how long the body is.")


class _Bounded(LimitedStream):
    """A body of unknown length, to its end or to the limit."""

    def __init__(self, stream: _Timely, most: int) -> None:
        super().__init__(stream, most + ENVELOPE, is_max=True)  # type: ignore[arg-type]
        self._most = most

    def on_exhausted(self) -> None:
        """There is more."""
        raise FileTooLarge(None, limit=self._most)


class _Timely:
    """A body that comes before its deadline."""

    def __init__(self, stream: Any, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, size: int) -> bytes:
        if time.monotonic() > self._deadline:
            raise MalformedRequest("The body has taken too long.")
        piece: bytes = self._stream.read(size)
        return piece


class _Spool:
    """Where the file's bytes go on their way in: counted and hashed, never more than the limit."""

    parts_at_most: ClassVar[int] = 1

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun = 0
        self.file: BinaryIO | None = None
        self.size, self.hash = 0, hashlib.sha256()

    def begin(self, *_: Any, **__: Any) -> Any:
        """Called by the parser for each part that is a file."""
        self._begun += 1
        if self._begun > self.parts_at_most:
            raise ValidationFailed.of("file", "Send one file at a time.")
        self.file = scratch()
        return self

    def write(self, data: bytes) -> int:
        self.size += len(data)
        if self.size > self._most:
            raise FileTooLarge(None, limit=self._most)
        assert self.file is not None  # begun before
        self.hash.update(data)
        return self.file.write(data)

    def seek(self, position: int) -> int:
        assert self.file is not None
        return self.file.seek(position)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


def _checked(spool: _Spool, form: Any, files: Any, fields: tuple[str, ...]) -> Upload:
    told = form.to_dict(flat=False)
    for name, values in told.items():
        if name not in fields:
            raise ValidationFailed.of(str(name)[:100], "Unknown field.", "UNKNOWN_FIELD")
        if len(values) > 1 or "\0" in values[0]:
            raise ValidationFailed.of(name, "Not a valid value.")
    sent = files.get("file")
    if spool.file is None or sent is None:
        raise ValidationFailed.of("file", "Missing data for required field.", "REQUIRED")
    if not spool.size:
        raise ValidationFailed.of("file", "The file is empty.", "EMPTY")
    only = {name: values[0] for name, values in told.items()}
    return Upload(spool.file, sent.filename or "", spool.size, spool.hash.hexdigest(), only)
