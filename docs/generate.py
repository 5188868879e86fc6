"""Write the reference pages that follow from the code: settings, errors, events.

Run by ``.venv/bin/python docs/generate.py``; with ``--check`` it only says which pages are stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from config import base, production  # noqa: E402 - found through the line above
from config.settings import SETTINGS, TEST_ONLY, Setting  # noqa: E402
from devforge_api import registry  # noqa: E402, F401 - imports every domain's errors
from devforge_api.core.errors import DomainError  # noqa: E402
from devforge_api.core.gateway import HTTP_MESSAGES, code_of_status  # noqa: E402
from devforge_api.events import EVENTS  # noqa: E402

NOTICE = "<!-- Written by docs/generate.py; change the code instead. -->"
# Codes that a class of errors takes over from elsewhere.
SPOKEN = {"LICENSE_REFUSED": "the verdict, such as `EXPIRED` ([licensing.md](licensing.md))"}


def error_classes() -> Iterator[type[DomainError]]:
    """Every class of refusals that has a code of its own."""
    waiting: list[type[DomainError]] = [DomainError]
    while waiting:
        for error in waiting.pop().__subclasses__():
            waiting.append(error)
            if "code" in vars(error):
                yield error


def settings_page() -> str:
    """``docs/configuration.md``."""
    lines = [
        "# Settings",
        NOTICE,
        "",
        "From the environment, read once at start. An unknown `DEVFORGE_` name is refused, and so is a value that cannot be",
        "read. What holds a secret (🔒) may instead be a file's content: the same name with `_FILE` holds its path.",
        "`flask settings` prints the values in force, without secrets.",
        "",
        "| name | default | meaning |",
        "|---|---|---|",
        *(
            f"| `{one.variable}`{' 🔒' if one.secret else ''} | {_default(one)} | {one.help} |"
            for one in SETTINGS
        ),
        "",
        "In development, `DEVFORGE_SECRET_KEY` and `DEVFORGE_MASTER_KEY` are made once, in `secrets.json` of the data folder.",
        f"Staging and production insist on both, on a database and on an https address: {_demands()}.",
        "",
        "The test suite reads "
        + " and ".join(f"`DEVFORGE_{name}`" for name in TEST_ONLY)
        + ": servers to use instead of its own.",
    ]
    return "\n".join(lines) + "\n"


def _default(setting: Setting) -> str:
    if setting.name == "ENV":
        return "`development`"
    value = getattr(base, setting.key)
    return "" if value in (None, ()) else f"`{value}`"


def _demands() -> str:
    return ", ".join(
        f"`{name}`" for name, value in vars(production).items() if name.isupper() and value is True
    )


def errors_page() -> str:
    """``docs/errors.md``."""
    rows = {}
    for error in error_classes():
        domain = error.__module__.split(".")[1]
        rows[error.code] = (
            error.status,
            SPOKEN.get(error.code, f"`{error.code}`"),
            domain,
            error.default_message(),
        )
    for status, message in HTTP_MESSAGES.items():
        code = code_of_status(status)
        rows.setdefault(code, (status, f"`{code}`", "core", message))
    lines = [
        "# Error codes",
        NOTICE,
        "",
        'Every refusal below `/api/` is `{"success": false, "error": {"code", "message", …}}` ([api.md](api.md)). Codes are stable;',
        "messages are for people and may change. `VALIDATION_ERROR` names every invalid field in `details`.",
        "",
        "| status | code | domain | meaning |",
        "|---|---|---|---|",
        *(
            f"| {status} | {code} | {domain} | {meaning} |"
            for status, code, domain, meaning in sorted(rows.values())
        ),
    ]
    return "\n".join(lines) + "\n"


def events_page() -> str:
    """``docs/events.md``."""
    lines = [
        "# Events",
        NOTICE,
        "",
        "What happened, told once it is committed, to each subscriber at least once. Ids are of the resource in the name.",
        "",
        "| name | payload | meaning |",
        "|---|---|---|",
    ]
    for name, kind in sorted(EVENTS.items()):
        keys = ", ".join(f"`{key}`" for key in sorted(kind.keys))
        lines.append(f"| `{name}` | {keys} | {kind.meaning} |")
    return "\n".join(lines) + "\n"


PAGES = {"configuration.md": settings_page, "errors.md": errors_page, "events.md": events_page}


def main() -> int:
    """Write the pages, or tell which ones differ from the code."""
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if "--check" in sys.argv and stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run docs/generate.py\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
