"""The calls of docs/second-factor.md and docs/tokens.md, run exactly as they are printed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devforge_api.auth.scopes import PERSONAL
from devforge_api.auth.service import challenges, mfa, personal_tokens, reauth, service_accounts
from tests.architecture.test_documentation import error_classes

DOCS = Path(__file__).resolve().parents[2] / "docs"


def printed(page, language="sh"):
    (block,) = re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    return str(block)


@pytest.fixture
def run(api, address, tmp_path):
    """Run a page's calls in ada's name; gives their answers."""
    api.person(email="ada@example.com")

    def shell(script):
        environ = {**os.environ, "BASE": f"{address}/api/v1"}
        command = ["bash", "-eu", "-c", script]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        decoder, found, text = json.JSONDecoder(), [], done.stdout.strip()
        while text:
            value, end = decoder.raw_decode(text)
            found.append(value)
            text = text[end:].lstrip()
        return found

    return shell


def test_the_calls_of_the_second_factors_page_work_as_printed(run, app, tmp_path):
    # A person reads the codes from a phone; here, a script asks for what the phone has scanned.
    phone = tmp_path / "phone.py"
    phone.write_text(
        "import sys, time, pyotp\n"
        "secret = sys.argv[1]\n"
        "print(pyotp.TOTP(secret).at(time.time(), counter_offset=int(sys.argv[2])))\n"
    )
    script = printed("second-factor.md")
    script = script.replace("""value '["data"]["qr_svg"]' > qr.svg""", "tee enrolled.json > qr.svg")
    secret = """$(python3 -c "import json; print(json.load(open('enrolled.json'))['data']['secret'])")"""
    for offset, code in enumerate(("492039", "730152")):
        assert f"CODE={code}\n" in script
        script = script.replace(f"CODE={code}\n", f"CODE=$({sys.executable} {phone} {secret} {offset})\n")
    confirmed, signed_in = run(script)
    assert len(confirmed["data"]["recovery_codes"]) == 10
    assert signed_in["data"]["user"]["email"] == "ada@example.com"


def test_the_calls_of_the_tokens_page_work_as_printed(run):
    me, licenses = run(printed("tokens.md"))
    assert me["data"]["email"] == "ada@example.com"
    assert licenses["data"] == []


def test_the_pattern_for_scanners_finds_tokens_and_nothing_shorter():
    pattern = re.compile(printed("tokens.md", "regex").strip())
    token = personal_tokens.new_token()
    assert pattern.findall(f'token = "{token}"\nand dfp_short, or {token}x') == [token]


def test_codes_on_the_pages_are_real_ones():
    codes = {error.code for error in error_classes()}
    for page in ("second-factor.md", "tokens.md"):
        written = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", (DOCS / page).read_text()))
        assert written
        assert written <= codes


def test_the_pages_figures_are_the_codes():
    factor, tokens = ((DOCS / page).read_text() for page in ("second-factor.md", "tokens.md"))
    assert (mfa.RECOVERY_CODES, mfa.FAILURES_A_DAY, challenges.MOST_FAILURES) == (10, 50, 5)
    assert "50 within a day" in factor
    assert reauth.LASTS.total_seconds() == 600
    assert personal_tokens.MOST_TOKENS == service_accounts.MOST_ACCOUNTS == 100
    assert personal_tokens.ENDED_KEPT.days == 90
    assert {scope.split(":")[0] for scope in PERSONAL} == {"security", "sessions"}
    assert "`security:…`, `sessions:…`" in tokens
