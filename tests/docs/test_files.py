"""docs/files.md: its calls run as they are printed, and its tables say what the code does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from devforge_api.core import scanner, uploads
from devforge_api.files.cli import files_cli
from devforge_api.files.models import VARIANTS, FileStatus
from devforge_api.files.service import links, pictures
from devforge_api.files.service.names import EXTENSIONS
from tests.architecture.test_documentation import error_classes
from tests.serving import served

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "files.md").read_text()
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)


def table(heading):
    """The first cells of the table that begins so."""
    rows = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


@pytest.fixture
def place(make_api):
    """The API, where its links say that it is."""
    with served(make_api) as (api, url):
        yield api, f"{url}/api/v1"


def test_the_calls_of_the_page_work_as_printed(place, tmp_path):
    api, base = place
    ada = api.person(email="ada@example.com")
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        ["bash", "-eu", "-c", block], cwd=tmp_path, env={**os.environ, "BASE": base}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sent = (tmp_path / "notes.md").read_text()
    assert (tmp_path / "copy.md").read_text() == sent
    assert (tmp_path / "rest.md").read_text() == sent[3:]
    assert api.get("/files", by=ada).json["data"] == []


def test_states_types_and_numbers_are_the_code_s(app):
    assert table("status | when") == [status.value for status in FileStatus]
    assert set(table("type | note")) - {".vsix"} == set(EXTENSIONS)
    assert f"fit into {VARIANTS['small']} (`small`) and {VARIANTS['medium']} pixels" in PAGE
    assert f"{pictures.MOST_PIXELS // 1_000_000} million pixels" in PAGE
    assert f"animations of {pictures.MOST_FRAMES} frames" in PAGE
    assert f"at most {pictures.AVATAR_SIDE} pixels" in PAGE
    assert links.SECONDS == 5 * 60
    assert scanner.SCAN_SECONDS == 20
    assert uploads.AT_ONCE_EACH == 4
    megabytes = int(re.search(r"client_max_body_size (\d+)m", PAGE)[1])
    assert megabytes << 20 >= app.config["MAX_UPLOAD_BYTES"] + uploads.ENVELOPE


def test_codes_routes_and_commands_on_the_page_are_real_ones(app):
    codes = {error.code for error in error_classes()}
    written = {code for code in re.findall(r"`([A-Z]+_[A-Z_]+)`", PROSE) if not code.startswith("DEVFORGE_")}
    assert len(written) >= 6
    assert written <= codes
    rules = {re.sub(r"<[^>]+>", "{id}", rule.rule) for rule in app.url_map.iter_rules()}
    calls = set(re.findall(r"(/(?:files|users)[a-z/{}]*)", "".join(re.findall(r"`[^`]+`", PROSE))))
    assert len(calls) >= 6
    assert {f"/api/v1{call}" for call in calls} <= rules
    assert set(re.findall(r"flask files ([a-z]+)", PROSE)) == set(files_cli.commands)
