"""Schema fields: each bounded, none guessing at what was meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import orjson
from marshmallow import ValidationError, fields, validate
from marshmallow.fields import (
    UUID,
    Boolean,
    Constant,
    Dict,
    Enum,
    Field,
    Function,
    List,
    Method,
    Nested,
    Raw,
    String,
)

from devforge_api.core.clock import rfc3339

__all__ = [
    "UUID", "Bool", "Boolean", "Code", "Constant", "Day", "Dict", "Email", "Enum", "Field", "Filled",
    "Function", "Int", "JsonObject", "List", "Locale", "Method", "Nested", "QueryInt", "QueryNames", "Raw",
    "String", "Text", "Timestamp", "Url",
]  # fmt: skip

MAX_INTEGER = 2**53 - 1  # what JavaScript reads exactly


class Text(fields.String):
    """A string of bounded length; NUL and lone surrogates are refused for every schema.

    :param max: letters; None: as many as there are, for what is only told.
    """

    def __init__(self, *, min: int = 1, max: int | None = 255, **kwargs: Any) -> None:
        checks = [validate.Length(min=min, max=max), *kwargs.pop("validate", [])]
        super().__init__(validate=checks, **kwargs)


class Filled(Text):
    """Text in which there is something to see; spaces around it are its own."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if text.isspace():
            raise ValidationError("Must not be blank.")
        return text


class Code(Text):
    """A short name for programs: lower-case letters, digits, ``. _ -``."""

    PATTERN = "^[a-z0-9][a-z0-9._-]*$"  # for the documentation, in JavaScript's dialect

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": self.PATTERN, **kwargs.pop("metadata", {})}
        super().__init__(max=64, validate=[self._check], metadata=metadata, **kwargs)

    def _check(self, value: str) -> None:
        # In Python, "$" would also match before a final line break.
        if not re.fullmatch(self.PATTERN.strip("^$"), value):
            raise ValidationError("Only lower-case letters, digits and . _ - are possible.")


class Locale(Text):
    """A language tag such as ``en`` or ``pt-BR`` (BCP 47), as far as letters are chosen by it."""

    PATTERN = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": self.PATTERN, "example": "en", **kwargs.pop("metadata", {})}
        super().__init__(min=2, max=35, validate=[self._check], metadata=metadata, **kwargs)

    def _check(self, value: str) -> None:
        if not re.fullmatch(self.PATTERN.strip("^$"), value):
            raise ValidationError("Use a language tag such as en or pt-BR.")


class Email(fields.Email):
    """An address of at most 254 characters, in NFC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=[validate.Length(max=254)], **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if isinstance(value, str):
            if len(value) > 320:  # before the address is parsed
                raise ValidationError("Longer than maximum length 254.")
            value = unicodedata.normalize("NFC", value.strip())
            if not value.isprintable():  # servers drop what nobody sees: one mailbox, many accounts
                raise ValidationError("Not a valid email address.")
        result: str = super()._deserialize(value, attr, data, **kwargs)
        return result


class Url(fields.Url):
    """An http(s) address of at most 2,000 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            schemes={"http", "https"}, require_tld=False, validate=[validate.Length(max=2000)], **kwargs
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if isinstance(value, str) and len(value) > 2000:
            raise ValidationError("Longer than maximum length 2000.")
        result: str = super()._deserialize(value, attr, data, **kwargs)
        return result


class Int(fields.Integer):
    """A JSON integer within bounds: neither ``"5"`` nor ``5.0``."""

    def __init__(self, *, min: int = 0, max: int = MAX_INTEGER, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=[validate.Range(min=min, max=max)], **kwargs)


class QueryInt(fields.Integer):
    """The same in a query: digits, without sign."""

    def __init__(self, *, min: int = 0, max: int = MAX_INTEGER, **kwargs: Any) -> None:
        super().__init__(validate=[validate.Range(min=min, max=max)], **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        text = str(value)
        if len(text) > 19 or not text.isascii() or not text.isdigit():
            raise self.make_error("invalid", input=value)
        return int(text)


class QueryNames(Text):
    """Some of these names, joined by commas."""

    def __init__(self, *names: str, **kwargs: Any) -> None:
        self.names = names
        super().__init__(max=1000, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        wanted = {name.strip() for name in text.split(",") if name.strip()}
        if wanted - set(self.names):
            raise ValidationError(f"Choose from: {', '.join(self.names)}.")
        return wanted


class Bool(fields.Boolean):
    """``true`` or ``false``, not the words that look like them."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Timestamp(fields.AwareDateTime):
    """An RFC 3339 moment with its zone, written in UTC with ``Z``."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else rfc3339(value)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime:
        if not isinstance(value, str) or len(value) > 40:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        try:
            moment = super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)
        except OverflowError:
            moment = None
        if moment is None or not 1970 <= moment.year <= 9990:
            raise ValidationError("Use a year from 1970 to 9990.")
        return moment


class Day(fields.Date):
    """A calendar day such as ``2026-01-31`` (RFC 3339 full-date)."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> date:
        if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        day: date = super()._deserialize(value, attr, data, **kwargs)
        if not 1970 <= day.year <= 9990:
            raise ValidationError("Use a year from 1970 to 9990.")
        return day


class JsonObject(fields.Dict):
    """Free JSON of the caller's own: an object, bounded in size and depth."""

    def __init__(self, *, max_bytes: int = 16 * 1024, max_depth: int = 8, **kwargs: Any) -> None:
        self.max_bytes, self.max_depth = max_bytes, max_depth
        super().__init__(**kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.make_error("invalid", input=value)
        if _depth(value, self.max_depth) > self.max_depth:
            raise ValidationError(f"Nested deeper than {self.max_depth} levels.")
        try:
            size = len(orjson.dumps(value))
        except TypeError as error:  # an integer beyond 64 bits
            raise ValidationError("Contains a number that cannot be stored.") from error
        if size > self.max_bytes:
            raise ValidationError(f"Larger than {self.max_bytes} bytes.")
        return value


def _depth(value: Any, stop: int) -> int:
    if not isinstance(value, dict | list):
        return 0
    if stop < 0:
        return 1
    children = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(child, stop - 1) for child in children), default=0)
