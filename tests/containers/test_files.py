"""No container engine runs here: the files are checked against the project that they describe."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from config.settings import SETTINGS
from devforge_api.app import create_app

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
OWN_SERVICES = ["api", "realtime", "worker", "strangers", "beat", "migrate"]


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    return create_app({"DEVFORGE_DATA_DIR": str(tmp_path_factory.mktemp("data"))}).cli.commands


def known_variables():
    names = {setting.variable for setting in SETTINGS}
    return names | {setting.variable + "_FILE" for setting in SETTINGS if setting.secret}


def test_the_image_copies_what_is_there_and_all_that_the_server_imports():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert all((ROOT / name).exists() for name in names)
    assert {"wsgi.py", "config", "migrations", "devforge_api", "requirements.txt"} <= set(names)


def test_what_the_image_copies_is_not_ignored():
    admitted = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for line in copied for name in line.split()} <= admitted


def test_the_image_runs_as_an_ordinary_user_with_a_health_check():
    assert re.search(r"^USER devforge$", DOCKERFILE, re.MULTILINE)
    assert "HEALTHCHECK" in DOCKERFILE
    assert "/health" in DOCKERFILE


def test_the_image_sets_only_known_settings():
    assert set(re.findall(r"(DEVFORGE_[A-Z_]+)=", DOCKERFILE)) <= known_variables()


@pytest.mark.parametrize("name", OWN_SERVICES)
def test_a_service_runs_a_command_that_exists_with_settings_that_exist(commands, name):
    service = COMPOSE["services"][name]
    program, command, *_ = service["command"]
    assert program == "flask"
    assert command in commands
    assert {key for key in service["environment"] if key.startswith("DEVFORGE_")} <= known_variables()
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])


def test_what_an_operator_has_to_decide_is_asked_for_everywhere():
    decisions = [
        "DEVFORGE_MAIL_URL", "DEVFORGE_MAIL_FROM", "DEVFORGE_ACCOUNT_PAGES_URL",
        "DEVFORGE_EMAIL_VERIFICATION", "DEVFORGE_TERMS_VERSION", "DEVFORGE_IDENTITY_PROVIDERS",
        "DEVFORGE_SIGN_IN_REDIRECTS", "DEVFORGE_BILLING_PROVIDER", "DEVFORGE_BILLING_RETURN_URLS",
        "DEVFORGE_STRIPE_SECRET_KEY", "DEVFORGE_STRIPE_WEBHOOK_SECRET",
    ]  # fmt: skip
    environment = {key.removesuffix("_FILE") for key in COMPOSE["services"]["api"]["environment"]}
    for text in ((ROOT / ".env.example").read_text(), (ROOT / "docs/deployment.md").read_text()):
        assert [name for name in decisions if name not in text] == []
    assert set(decisions) <= environment


def test_the_example_of_an_environment_has_only_known_settings():
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#? ?(DEVFORGE_[A-Z_]+)=", text, re.MULTILINE)) <= known_variables()


def test_redis_evicts_nothing():
    assert "--maxmemory-policy noeviction" in shlex.join(COMPOSE["services"]["redis"]["command"])


def test_nothing_but_the_api_and_streams_is_published_and_that_only_to_this_machine():
    published = {name: one["ports"] for name, one in COMPOSE["services"].items() if "ports" in one}
    assert published == {"api": ["127.0.0.1:8000:8000"], "realtime": ["127.0.0.1:8001:8001"]}
