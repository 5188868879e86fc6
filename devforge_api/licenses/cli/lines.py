"""The lines of a CSV file of licences: read one at a time, each checked by itself."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

import click
from marshmallow import ValidationError

from devforge_api.core import fields
from devforge_api.core.cells import cell_value
from devforge_api.core.errors import MalformedRequest
from devforge_api.core.json import parse
from devforge_api.core.schemas import BaseSchema
from devforge_api.licenses.models import LicenseStatus
from devforge_api.licenses.service.importing import BadLine, Line
from devforge_api.licenses.service.lifecycle import OWN_LIMITS

COLUMNS = (
    "policy", "email", "user_id", "key", "reference", "status", "expires_at", *OWN_LIMITS, "metadata",
)  # fmt: skip
# What an export tells beside, and an import works out anew; by its id a licence is known again.
ONLY_TOLD = ("id", "owner_id", "machine_count", "core_count", "uses", "created_at")
SHORTEST_KEY = 16


class _Moment(fields.Timestamp):
    """As the API takes it, or a day: its first moment in UTC."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime:
        try:
            value = f"{date.fromisoformat(value).isoformat()}T00:00:00Z"
        except (TypeError, ValueError):
            pass
        return super()._deserialize(value, attr, data, **kwargs)


class _Key(fields.Text):
    """A key that its customer has already: long enough that nobody guesses it."""

    def __init__(self) -> None:
        super().__init__(min=SHORTEST_KEY, max=512, validate=[self._check])

    def _check(self, value: str) -> None:
        if not value.isprintable() or value != value.strip():
            raise ValidationError("A key is visible characters, without spaces around it.")


class LineSchema(BaseSchema):
    """The cells of a line that are not empty."""

    id = fields.UUID()
    policy = fields.Text(required=True, max=200)
    email = fields.Email()
    user_id = fields.UUID()
    key = _Key()
    reference = fields.Text(max=200)
    status = fields.Enum(LicenseStatus, by_value=True)
    expires_at = _Moment()
    max_machines = fields.Int(min=1, max=1_000_000)
    max_cores = fields.Int(min=1, max=1_000_000)
    max_users = fields.Int(min=1, max=1_000_000)
    max_uses = fields.Int(min=1, max=2**31 - 1)
    metadata = fields.JsonObject()


def read_lines(file: Iterable[str], *, delimiter: str) -> Iterator[Line | BadLine]:
    """Every line below the head, with its number in the file; blank ones are passed over.

    :raises ClickException: the head is missing, or names a column that there is not.
    """
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise click.ClickException(f"The head cannot be read: {error}.") from error
    _check_head(head)
    schema = LineSchema()
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(reader.line_num, f"{error}.")
            continue
        if any(cells):
            yield _read(schema, reader.line_num, head, cells)


def _check_head(head: list[str]) -> None:
    known = {*COLUMNS, *ONLY_TOLD}
    unknown = [name for name in head if name not in known and not name.startswith("metadata.")]
    if unknown or "policy" not in head or len(set(head)) < len(head):
        told = f"{', '.join(unknown)}: no such column. " if unknown else ""
        possible = ", ".join((*COLUMNS, "metadata.NAME"))
        raise click.ClickException(
            f"{told}The first line names each column once, policy among them; there are: {possible}."
        )


def _read(schema: LineSchema, number: int, head: list[str], cells: list[str]) -> Line | BadLine:
    if len(cells) > len(head):
        return BadLine(number, "it has more cells than the head.")
    given = {name: cell_value(text) for name, text in zip(head, cells, strict=False) if text}
    if any("\0" in text or _is_broken(text) for text in given.values()):
        return BadLine(number, "it is not text in UTF-8.")
    try:
        values = schema.load(_typed(given))
    except ValidationError as error:
        told: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
        return BadLine(number, " ".join(f"{name}: {_flat(why)}" for name, why in told.items()))
    return Line(number, given, values)


def _is_broken(text: str) -> bool:
    """Whether bytes that are no UTF-8 stand in it, as they were read."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _typed(given: dict[str, str]) -> dict[str, Any]:
    """Cells as the schema takes them: numbers, JSON, and the columns ``metadata.…`` as one object."""
    values: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, text in given.items():
        if name.startswith("metadata."):
            metadata[name.removeprefix("metadata.")] = text
        elif name in OWN_LIMITS:
            values[name] = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else text
        elif name == "metadata":
            values[name] = _json(text)
        elif name == "id" or name not in ONLY_TOLD:
            values[name] = text
    if metadata:
        values["metadata"] = {**values.get("metadata", {}), **metadata}
    return values


def _json(text: str) -> dict[str, Any]:
    try:
        found = parse(text.encode())  # as a request: what it refuses could not be stored
    except MalformedRequest:
        found = None
    if not isinstance(found, dict):
        raise ValidationError({"metadata": ["Not a JSON object."]})
    return found


def _flat(why: Any) -> str:
    return " ".join(map(str, why)) if isinstance(why, list) else str(why)
