"""Answers: the envelope, trimming by ``fields``, entity tags and preconditions."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Response, g, request
from marshmallow import Schema

from devforge_api.core.application import Answer
from devforge_api.core.errors import PreconditionFailed, ValidationFailed
from devforge_api.core.json import dump


def success(data: Any, status: int = 200, **beside: Any) -> Response:
    """``{"success": true, "data": …}`` and, for lists, what stands beside the data."""
    return Answer(envelope(data, **beside), status, mimetype="application/json")


def envelope(data: Any, **beside: Any) -> bytes:
    """The body of a success."""
    return dump({"success": True, "data": data, **beside})


def published(document: Any, *, max_age: int) -> Response:
    """A public document as it stands, without envelope.

    :param max_age: for so many seconds it may be kept, by whoever likes.
    """
    response = Answer(dump(document), mimetype="application/json")
    response.headers["Cache-Control"] = f"public, max-age={max_age}"
    return add_entity_tag(response)


def shaped(value: Any, schema: Schema, status: int = 200, **beside: Any) -> Response:
    """A value through its schema into the envelope, trimmed to ``?fields=`` on reads."""
    data = schema.dump(value)
    if request.method in {"GET", "HEAD"} and "fields" in request.args:
        names = wanted_fields(schema)
        if isinstance(data, list):
            data = [{name: item[name] for name in names} for item in data]
        else:
            data = {name: data[name] for name in names}
    return success(data, status, **beside)


def wanted_fields(schema: Schema) -> list[str]:
    """The names that ``?fields=`` asks for.

    :raises ValidationFailed: a name that the resource does not have.
    """
    names = [name.strip() for name in request.args["fields"].split(",") if name.strip()]
    unknown = [name for name in names if name not in schema.dump_fields]
    if unknown or not names:
        possible = ", ".join(schema.dump_fields)
        raise ValidationFailed.of("fields", f"Choose from: {possible}.", "UNKNOWN_FIELD")
    return names


def entity_tag(body: bytes) -> str:
    """A strong entity tag for these bytes (RFC 9110 section 8.8.3), without quotes."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def add_entity_tag(response: Response) -> Response:
    """Tag a successful read, and answer 304 where the client already has it."""
    if "ETag" in response.headers:  # its view knows better
        return response
    readable = request.method in {"GET", "HEAD"} and response.status_code == 200
    if readable and response.mimetype == "application/json" and not response.direct_passthrough:
        response.set_etag(entity_tag(response.get_data()))
        response.headers.setdefault("Cache-Control", "no-cache")
        if _listed(response.get_etag()[0], "If-None-Match"):
            response.status_code = 304
            response.set_data(b"")
    return response


def check_precondition(value: Any, schema: Schema | None = None) -> None:
    """Honour ``If-Match`` against a row that this transaction has locked.

    :param schema: the one that the resource is read by; None where the value is shown as it is.
    :raises PreconditionFailed: the client's copy is not the current one.
    """
    if "If-Match" not in request.headers:
        return
    current = entity_tag(envelope(schema.dump(value) if schema else value))
    if not _listed(current, "If-Match"):
        raise PreconditionFailed


def _listed(tag: str | None, header: str) -> bool:
    given = request.headers.get(header, "").strip()
    if not given or given == "*":
        return bool(given)
    weak = header == "If-None-Match"
    return any(_version(item.strip(), weak=weak) == tag for item in given.split(","))


def _version(item: str, *, weak: bool) -> str | None:
    """The tag within the quotes, without the algorithm that compression has marked it with."""
    opaque = item.removeprefix("W/") if weak else item
    if len(opaque) < 2 or not opaque.startswith('"') or not opaque.endswith('"'):
        return None
    return opaque[1:-1].split(":")[0]


def carries_secret() -> None:
    """Mark the answer under way: never compressed (BREACH), never stored by caches."""
    g.carries_secret = True
