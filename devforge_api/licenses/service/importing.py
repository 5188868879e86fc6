"""Licences from another system, a batch of lines at a time; the same line twice makes one licence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from devforge_api.core.db import db
from devforge_api.core.errors import DomainError, ValidationFailed
from devforge_api.licenses.errors import KeyTaken
from devforge_api.licenses.models import License, LicenseStatus, Policy
from devforge_api.licenses.queries import find_policy_id
from devforge_api.licenses.service import lifecycle
from devforge_api.licenses.service.keys import hash_key
from devforge_api.licenses.service.record import Cause


@dataclass(frozen=True, slots=True)
class Line:
    """A line that can be read.

    :param given: its cells as they stand there.
    :param values: the same, checked: ``policy`` (id or PRODUCT_CODE/NAME), and what `lifecycle.issue`
        takes.
    """

    number: int
    given: Mapping[str, str]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that makes no licence, and why."""

    number: int
    why: str


@dataclass(slots=True)
class Done:
    """What became of a batch's lines."""

    made: int = 0
    there: int = 0  # by an earlier import, or by an earlier run of this one
    bad: list[BadLine] = field(default_factory=list)


class Import:
    """One run over one file: knows its policies, and which lines it has seen (16 bytes each)."""

    def __init__(self, cause: Cause) -> None:
        self._cause = cause
        self._policies: dict[str, UUID | None] = {}
        self._held: dict[UUID, Policy | None] = {}  # of this batch: the session forgets what nobody holds
        self._seen: dict[bytes, int] = {}

    def take(self, lines: Sequence[Line | BadLine], *, now: datetime) -> Done:
        """Make the licences of some lines, in the open unit of work."""
        done = Done()
        self._held.clear()
        named: list[tuple[Line, str]] = []
        for line in lines:
            if isinstance(line, BadLine):
                done.bad.append(line)
            elif (name := self._name_of(line, done)) is not None:
                named.append((line, name))
        there = self._already_there(named)
        for line, name in named:
            if name in there or line.values.get("id") in there:
                done.there += 1
                continue
            try:
                self._make(line, name, now)
                done.made += 1
            except KeyTaken as error:
                if self._already_there([(line, name)]):  # by somebody who imports the same file now
                    done.there += 1
                else:
                    done.bad.append(BadLine(line.number, error.message))
            except DomainError as error:
                done.bad.append(BadLine(line.number, error.message))
        done.bad.sort(key=lambda bad: bad.number)
        return done

    def _name_of(self, line: Line, done: Done) -> str | None:
        """What a line is known by in every run: its reference, id or key, or else all that it says."""
        values = line.values
        if found := values.get("reference") or values.get("id"):
            name = f"reference:{found}"
        elif key := values.get("key"):
            name = f"key:{hash_key(key)}"
        else:
            said = json.dumps(sorted(line.given.items()), ensure_ascii=False)
            name = f"line:{hashlib.sha256(said.encode()).hexdigest()}"
        digest = hashlib.sha256(name.encode()).digest()[:16]
        times = self._seen[digest] = self._seen.get(digest, 0) + 1
        if times == 1:
            return name
        if not name.startswith("line:"):
            kind = name.partition(":")[0]
            done.bad.append(BadLine(line.number, f"an earlier line has the same {kind}."))
            return None
        return f"{name}:{times}"  # a second licence of the same kind for the same customer

    def _already_there(self, named: Sequence[tuple[Line, str]]) -> set[str | UUID]:
        names = select(License.imported_as).where(License.imported_as.in_([name for _, name in named]))
        there: set[str | UUID] = {name for name in db.session.scalars(names) if name is not None}
        if ids := [line.values["id"] for line, _ in named if "id" in line.values]:
            there.update(db.session.scalars(select(License.id).where(License.id.in_(ids))))
        return there

    def _make(self, line: Line, name: str, now: datetime) -> None:
        values = line.values
        status = values.get("status", LicenseStatus.ACTIVE)
        license_ = lifecycle.issue(
            policy_id=self._policy_id(values["policy"]),
            now=now,
            user_id=values.get("user_id"),
            email=values.get("email"),
            key=values.get("key"),
            expires_at=values.get("expires_at"),
            metadata=values.get("metadata"),
            pending=status is LicenseStatus.PENDING,
            imported_as=name,
            cause=self._cause,
            read_again=False,
            **{limit: values[limit] for limit in values if limit.startswith("max_")},
        )
        if status is LicenseStatus.SUSPENDED:
            lifecycle.suspend(license_, cause=self._cause)
        elif status is LicenseStatus.REVOKED:
            lifecycle.revoke(license_, cause=self._cause)

    def _policy_id(self, name: str) -> UUID:
        if name not in self._policies:
            self._policies[name] = find_policy_id(name)
        found = self._policies[name]
        if found is None:
            raise ValidationFailed.of("policy", f"Not exactly one policy is called {name}.", "NOT_FOUND")
        if found not in self._held:
            self._held[found] = db.session.get(Policy, found)
        return found
