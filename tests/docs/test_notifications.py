"""docs/notifications.md and docs/mail.md: their calls run as printed, their tables say what the code does."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from devforge_api.core.mail.transport import is_unknown
from devforge_api.notifications.catalogue import DEFAULTS, ENTRIES
from devforge_api.notifications.models import Channel
from devforge_api.notifications.service.browsers import MOST
from devforge_api.notifications.service.inbox import KEPT
from devforge_api.notifications.service.pushing import TTL
from devforge_api.ops.cli.mail import mail_cli
from tests.architecture.test_documentation import error_classes
from tests.factories.notifications import tell

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, MAIL = ((DOCS / name).read_text() for name in ("notifications.md", "mail.md"))
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)


def test_the_calls_of_the_page_work_as_printed(api, address, tmp_path):
    ada = api.person(email="ada@example.com")
    tell(api, [ada])
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    environ = {**os.environ, "BASE": f"{address}/api/v1"}
    done = subprocess.run(
        ["bash", "-eu", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    decoder, answers, rest = json.JSONDecoder(), [], done.stdout
    while rest:
        answer, end = decoder.raw_decode(rest)
        answers.append(answer["data"])
        rest = rest[end:].lstrip()
    count, marked, preferences = answers
    assert (count["unread"], marked["changed"], marked["unread"]) == (1, 1, 0)
    assert preferences["licenses"]["mail"] is False


def test_the_table_of_defaults_is_the_code_s():
    said = {(True, True): "always", (False, True): "never", (True, False): "on", (False, False): "off"}
    for kind, choices in DEFAULTS.items():
        cells = [
            said[choices[channel].enabled, choices[channel].fixed]
            for channel in (Channel.IN_APP, Channel.MAIL, Channel.PUSH)
        ]
        assert f"| `{kind.value}` | {' | '.join(cells)} |" in PAGE


def test_every_type_of_link_is_told():
    told = set(re.findall(r"`([a-z]+)`", PROSE[PROSE.index("- `link` is") : PROSE.index("or `null`")]))
    assert told - {"link"} == {entry.about[0] for entry in ENTRIES.values() if entry.about}


def test_numbers_codes_and_statuses_are_the_code_s():
    assert f"After {KEPT.days} days it goes" in PAGE
    assert f"at most {MOST} (409 `TOO_MANY_PUSH_SUBSCRIPTIONS`)" in PAGE
    assert (TTL.days, "waits for a day" in PAGE) == (1, True)
    codes = {error.code for error in error_classes()}
    assert {code for code in re.findall(r"`([A-Z]+_[A-Z_]+)`", PROSE) if "DEVFORGE" not in code} <= codes
    assert "5.1.1, .2, .3, .6 or .10" in MAIL
    assert [number for number in range(20) if is_unknown(f"5.1.{number}")] == [1, 2, 3, 6, 10]


def test_every_command_on_the_page_of_mail_is_there():
    written = set(re.findall(r"(?:flask|wsgi) mail ([a-z]+)", MAIL))
    assert {"bounce", "suppress", "unsuppress", "suppressions"} <= written <= set(mail_cli.commands)


def test_every_route_on_the_page_is_there(app):
    rules = {
        re.sub(r"<[^>]+>", "{id}", rule.rule).removeprefix("/api/v1") for rule in app.url_map.iter_rules()
    }
    written = {one.rstrip("/") for one in re.findall(r"(/notifications[a-z/{}-]*)", PROSE)}
    assert len(written) >= 6
    assert written <= rules
