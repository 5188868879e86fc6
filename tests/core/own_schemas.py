"""Every schema of the project, for what must hold for all of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import devforge_api
from devforge_api.core.schemas import BaseSchema


def own_schemas() -> list[type[BaseSchema]]:
    """In the order of their names; those that a test has declared are left out."""
    for module in pkgutil.walk_packages(devforge_api.__path__, "devforge_api."):
        if module.name.endswith("schemas"):
            importlib.import_module(module.name)
    found = {kind for kind in _below(BaseSchema) if kind.__module__.startswith("devforge_api")}
    return sorted(found, key=lambda kind: kind.__qualname__)


def _below(kind: type[BaseSchema]) -> Iterator[type[BaseSchema]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
