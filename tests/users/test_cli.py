import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from tests.factories import PASSWORD, code_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def users(app, monkeypatch):
    """``flask users …``: its exit code, output and error output, as a pipe gets them."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*args: str, stdin: str | None = None):
        result = app.test_cli_runner().invoke(args=["users", *args], input=stdin)
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def user(api):
    """What the API shows of a user, by address."""
    return lambda email: api.get(f"/users?email={email}", by=api.admin()).json["data"][0]


def login(api, email: str, password: str = PASSWORD):
    return api.post("/auth/login", {"email": email, "password": password})


def one_clear_line(outcome):
    exit_code, output, error = outcome
    assert (exit_code, output) == (1, "")
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_create_prints_just_the_id_of_a_user_who_can_sign_in(api, users, user, ending):
    args = ("create", "ops@example.com", "--role", "admin", "--name", "Ops", "--password-stdin")
    exit_code, output, error = users(*args, stdin=PASSWORD + ending)
    assert (exit_code, error) == (0, "")
    found = user("ops@example.com")
    assert UUID(output.strip()) == UUID(found["id"])
    assert output == found["id"] + "\n"
    assert (found["role"], found["name"], found["email_verified"]) == ("admin", "Ops", True)
    assert login(api, "ops@example.com").status_code == 200


def test_create_works_as_a_command_of_the_shell(api, environ, user):
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "users", "create", "ops@example.com"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DEVFORGE_")}
    done = subprocess.run(
        [*command, "--role", "support", "--password-stdin"],
        cwd=ROOT, env=clean | environ, input=PASSWORD, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == user("ops@example.com")["id"] + "\n"
    assert login(api, "ops@example.com").json["data"]["user"]["role"] == "support"


def test_without_password_the_user_cannot_sign_in_by_one(api, users):
    assert users("create", "ops@example.com", "--unverified")[0] == 0
    assert code_of(login(api, "ops@example.com", "anything at all")) == "INVALID_CREDENTIALS"


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        (("create", "ADA@example.com"), None, "EMAIL_TAKEN"),
        (("create", "no address"), None, "valid email"),
        (("create", "x@example.com", "--name", "n" * 101), None, "100"),
        (("create", "x@example.com", "--password-stdin"), "short", "8 to 128"),
        (("create", "x@example.com", "--password-stdin"), "", "8 to 128"),
        (("create", "x@example.com", "--password-stdin"), "password", "most common"),
        (("promote", "nobody@example.com"), None, "nobody@example.com"),
        (("disable", "nobody@example.com"), None, "nobody@example.com"),
        (("enable", "nobody@example.com"), None, "nobody@example.com"),
        (("verify", "nobody@example.com"), None, "nobody@example.com"),
        (("create", "x@example.com", "--role", "root"), None, "root"),
        (("promote", "ada@example.com", "--role", "root"), None, "root"),
        (("list", "--role", "root"), None, "root"),
        (("list", "--status", "asleep"), None, "asleep"),
        (("show", "nobody@example.com"), None, "nobody@example.com"),
        (("unlock", "nobody@example.com"), None, "nobody@example.com"),
        (("erase", "nobody@example.com", "--yes"), None, "nobody@example.com"),
        (("export", "nobody@example.com", "--output", "/nowhere/x.zip"), None, "nobody@example.com"),
        (("export", "ada@example.com", "--output", "/nowhere/x.zip"), None, "/nowhere/x.zip"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_one_clear_line_and_exit_code_1(api, users, args, stdin, said):
    admin, _ = api.admin(), api.person(email="ada@example.com")
    assert said in one_clear_line(users(*args, stdin=stdin))
    assert api.get("/users", by=admin).json["pagination"]["total"] == 2


def test_promote_acts_on_the_next_request(api, users, user):
    ada = api.person(email="ada@example.com")
    assert api.get("/auth/me", by=ada).status_code == 200
    assert users("promote", "ADA@example.com")[:2] == (0, "ada@example.com is admin now.\n")
    assert code_of(api.get("/auth/me", by=ada)) == "TOKEN_REVOKED"
    assert user("ada@example.com")["role"] == "admin"
    assert users("promote", "ada@example.com", "--role", "support")[0] == 0
    assert user("ada@example.com")["role"] == "support"


def test_disable_and_enable(api, users):
    ada = api.person(email="ada@example.com")
    assert api.get("/auth/me", by=ada).status_code == 200
    assert users("disable", "ada@example.com") == (0, "ada@example.com is disabled.\n", "")
    assert code_of(api.get("/auth/me", by=ada)) == "TOKEN_REVOKED"
    assert code_of(login(api, "ada@example.com")) == "ACCOUNT_DISABLED"
    assert users("enable", "ada@example.com") == (0, "ada@example.com is active.\n", "")
    assert login(api, "ada@example.com").status_code == 200


def test_the_last_admin_stays(api, users):
    api.person(role="admin", email="root@example.com")
    assert "LAST_ADMIN" in one_clear_line(users("disable", "root@example.com"))
    assert "LAST_ADMIN" in one_clear_line(users("promote", "root@example.com", "--role", "user"))


def test_verify_vouches_for_an_address_once(api, users, user):
    users("create", "ops@example.com", "--unverified")
    assert user("ops@example.com")["email_verified"] is False
    for _ in range(2):
        assert users("verify", "OPS@example.com")[0] == 0
    assert user("ops@example.com")["email_verified"] is True


def test_list_is_a_table_for_people_and_json_for_scripts(api, users):
    ada, root = api.person(email="ada@example.com"), api.admin()
    assert "ada@example.com" in users("list")[1]
    rows = json.loads(users("list", "--json")[1])
    assert [row["id"] for row in rows] == [str(root.id), str(ada.id)]
    assert set(rows[0]) == {"id", "email", "name", "role", "status", "verified", "last_login"}
    assert [row["email"] for row in json.loads(users("list", "--role", "user", "--json")[1])] == [ada.email]
    assert len(json.loads(users("list", "--limit", "1", "--json")[1])) == 1
    assert json.loads(users("list", "--role", "support", "--json")[1]) == []


def test_the_operators_deeds_are_in_the_audit_trail(api, users):
    users("create", "ops@example.com")
    users("promote", "ops@example.com", "--role", "support")
    users("disable", "ops@example.com")
    rows = api.get("/audit/events?sort=created_at", by=api.admin()).json["data"]
    rows = [row for row in rows if row["actor_kind"] == "cli" and row["request_id"].startswith("cli-")]
    assert [(row["action"], row["changes"]) for row in rows] == [
        ("user.created", {"role": [None, "user"]}),
        ("user.email_verified", {"email_verified": [False, True]}),
        ("user.updated", {"role": ["user", "support"]}),
        ("user.updated", {"status": ["active", "disabled"]}),
    ]
