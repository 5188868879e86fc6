"""The documents that follow from the code, and the code that follows from them."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from config import base
from config.settings import SETTINGS
from devforge_api import registry
from devforge_api.core import outbox
from devforge_api.core.errors import DomainError
from devforge_api.events import EVENTS

ROOT = Path(__file__).resolve().parents[2]
assert registry.BLUEPRINTS  # imported for what it imports: every domain's errors


def error_classes(base_class=DomainError):
    for error in base_class.__subclasses__():
        yield error
        yield from error_classes(error)


def test_the_pages_of_settings_errors_and_events_are_current():
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_has_a_meaning_and_a_default():
    for setting in SETTINGS:
        assert setting.help.endswith("."), setting.name
        assert setting.name == "ENV" or hasattr(base, setting.key), setting.name


def test_every_refusal_has_a_code_and_a_sentence_of_its_own():
    own = [error for error in error_classes() if "code" in vars(error)]
    for values in ([error.code for error in own], [error.default_message() for error in own]):
        assert [value for value, count in Counter(values).items() if count > 1] == []
    for error in own:
        assert re.fullmatch(r"[A-Z][A-Z_]+[A-Z]", error.code)
        assert re.fullmatch(r"[A-Z].+\.", error.default_message()), error
        assert error.status in {400, 401, 403, 404, 409, 410, 412, 413, 415, 416, 421, 422, 429, 503}
    for error in error_classes():
        if "code" not in vars(
            error
        ):  # a common base, or a case of its parent that callers need not tell apart
            parent = error.__bases__[0]
            assert (error.__doc__ or "").startswith("Base of") or (
                error.default_message() == parent.default_message()
            )


def test_every_event_is_named_for_a_resource_and_has_a_meaning():
    for name, kind in EVENTS.items():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", name)
        assert kind.meaning.endswith(".")
        assert kind.keys


def test_every_subscription_is_to_an_event_of_the_catalogue():
    assert set(outbox._subscribers) <= set(EVENTS)


def _prose(text):
    """Without code: what looks like a link there is none."""
    return re.sub(r"```.*?```|`[^`\n]+`", "", text, flags=re.DOTALL)


def test_links_between_documents_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in pages
        if page.exists()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", _prose(page.read_text(encoding="utf-8")))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_no_file_of_the_package_is_longer_than_350_lines():
    files = [
        *(ROOT / "devforge_api").rglob("*.py"),
        *(ROOT / "config").rglob("*.py"),
        *ROOT.glob("tests/**/*.py"),
    ]
    long = {
        str(path.relative_to(ROOT)): count
        for path in files
        if (count := len(path.read_text().splitlines())) > 350
    }
    assert long == {}
