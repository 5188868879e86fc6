"""JSON in and out: strict reading, fast writing."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import orjson
from flask import Request
from flask.json.provider import JSONProvider
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from devforge_api.core.errors import DomainError, MalformedRequest

# Escapes that are valid JSON and yet cannot be stored as text.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class UnsupportedMediaType(DomainError):
    """Send the body as JSON, with Content-Type: application/json."""

    status, code = 415, "UNSUPPORTED_MEDIA_TYPE"


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson; requests are read by `read_body` instead."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Compact JSON text; keyword arguments are for other providers."""
        return dump(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Strict JSON."""
        return parse(s.encode() if isinstance(s, str) else s)


def dump(value: Any) -> bytes:
    """Compact JSON, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def parse(body: bytes) -> Any:
    """Read JSON (RFC 8259), refusing what parsers disagree about.

    :raises MalformedRequest: no JSON, duplicate names, NaN, too deep, a number too long, or text
        with NUL or lone surrogates.
    """
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite
        )
        if _SUSPECT.search(body):
            _refuse_unstorable(value)
    except UnicodeDecodeError as error:
        raise MalformedRequest("The body is not UTF-8.") from error
    except RecursionError as error:
        raise MalformedRequest("The body is nested too deeply.") from error
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError):
            raise MalformedRequest(f"The body is not JSON: {error.msg} at character {error.pos}.") from error
        raise MalformedRequest("The body holds a number that is too long.") from error
    return value


def raw_body(request: Request) -> bytes:
    """The request's body, read once.

    :raises ClientDisconnected: it is shorter than declared.
    :raises RequestEntityTooLarge: more than ``MAX_CONTENT_LENGTH``.
    """
    kept: bytes | None = request.environ.get("devforge.body")
    if kept is not None:
        return kept
    stream, length = request.environ["wsgi.input"], request.content_length
    if length is not None and length <= (request.max_content_length or length):
        body: bytes = stream.read(length) if length else b""
        if len(body) < length:
            raise ClientDisconnected
    else:
        body = request.get_data(cache=False)
        if length is None and stream.read(1):  # in chunks, and cut off at the limit: there is more
            raise RequestEntityTooLarge
    request.environ["devforge.body"] = body
    return body


def read_body(request: Request) -> Any:
    """The request's JSON; an absent body counts as an empty object.

    :raises UnsupportedMediaType: a body that does not say that it is JSON.
    :raises MalformedRequest: see `parse`.
    :raises RequestEntityTooLarge: more than ``MAX_CONTENT_LENGTH``.
    """
    body = raw_body(request)
    if not body and not request.content_type:
        return {}
    if request.content_type != "application/json" and request.mimetype != "application/json":
        raise UnsupportedMediaType
    return parse(body)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedRequest("The body holds the same name twice in one object.")
    return found


def _refuse(constant: str) -> NoReturn:
    raise MalformedRequest(f"{constant} is not JSON.")


def _finite(text: str) -> float:
    """Not ``1e400``: infinity could be neither stored nor answered as JSON."""
    number = float(text)
    if math.isinf(number):
        raise MalformedRequest("The body holds a number that is too large.")
    return number


def _refuse_unstorable(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise MalformedRequest("The body holds a NUL character.")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise MalformedRequest("The body holds half of a surrogate pair.") from error
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_unstorable(name)
            _refuse_unstorable(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item)
