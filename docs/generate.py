"""Write the reference pages that follow from the code: settings, errors, events.

Run by ``.venv/bin/python docs/generate.py``; with ``--check`` it only says which pages are stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from config import base  # noqa: E402 - found through the line above
from config.settings import SETTINGS, TEST_ONLY, Setting  # noqa: E402
from devforge_api import registry  # noqa: E402, F401 - imports every domain's errors
from devforge_api.core.errors import DomainError  # noqa: E402
from devforge_api.core.gateway import HTTP_MESSAGES, code_of_status  # noqa: E402
from devforge_api.events import EVENTS  # noqa: E402

NOTICE = "<!-- Written by docs/generate.py: change the code, then run it. -->"
SETTINGS_HEAD = f"""\
# Settings
{NOTICE}

From the environment, read once at start. An unknown `DEVFORGE_` name is refused, and so is a value that
cannot be read. Those with 🔒 hold a secret: `…_FILE` may name a file to read it from instead, and
`flask settings`, which prints the values in force, leaves them out.

In development `DEVFORGE_SECRET_KEY` and `DEVFORGE_MASTER_KEY` are made once, in `secrets.json` of the data
folder. Staging and production insist on both, on `DEVFORGE_DATABASE_URL`, and on an https address as
`DEVFORGE_PUBLIC_URL`. The tests read {" and ".join(f"`DEVFORGE_{name}`" for name in TEST_ONLY)}: servers to
use instead of their own.

| name | default | meaning |
|---|---|---|
"""
ERRORS_HEAD = f"""\
# Error codes
{NOTICE}

How a refusal looks: [api.md](api.md). Codes are stable; messages are for people and may change.

| status | code | domain | meaning |
|---|---|---|---|
"""
EVENTS_HEAD = f"""\
# Events
{NOTICE}

What happened, told once it is committed, to each subscriber at least once. Ids are of the resource in the
name.

| name | payload | meaning |
|---|---|---|
"""
# A class whose code on the wire is taken from elsewhere.
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
    return SETTINGS_HEAD + "".join(
        f"| `{one.variable}`{' 🔒' if one.secret else ''} | {_default(one)} | {one.help} |\n"
        for one in SETTINGS
    )


def _default(setting: Setting) -> str:
    if setting.name == "ENV":
        return "`development`"
    value = getattr(base, setting.key)
    return "" if value in (None, ()) else f"`{value}`"


def errors_page() -> str:
    """``docs/errors.md``."""
    rows = {
        error.code: (
            error.status,
            SPOKEN.get(error.code, f"`{error.code}`"),
            error.__module__.split(".")[1],
            error.default_message(),
        )
        for error in error_classes()
    }
    for status, message in HTTP_MESSAGES.items():
        code = code_of_status(status)
        rows.setdefault(code, (status, f"`{code}`", "core", message))
    return ERRORS_HEAD + "".join(f"| {' | '.join(map(str, row))} |\n" for row in sorted(rows.values()))


def events_page() -> str:
    """``docs/events.md``."""
    return EVENTS_HEAD + "".join(
        f"| `{name}` | {', '.join(f'`{key}`' for key in sorted(kind.keys))} | {kind.meaning} |\n"
        for name, kind in sorted(EVENTS.items())
    )


PAGES = {"configuration.md": settings_page, "errors.md": errors_page, "events.md": events_page}


def main() -> int:
    """Write the pages, or tell which ones differ from the code."""
    checking = "--check" in sys.argv
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not checking:
                path.write_text(text, encoding="utf-8")
    if checking and stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run docs/generate.py\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
