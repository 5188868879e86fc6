"""``flask licenses``."""

import json
from uuid import uuid4

import pytest


@pytest.fixture
def issue(app, api):
    """Run ``flask licenses issue`` with these arguments."""
    return lambda *arguments: app.test_cli_runner().invoke(args=["licenses", "issue", *arguments])


def test_a_licence_is_issued_by_the_names_of_product_and_policy(api, issue, verdict):
    owner = api.person(email="ada@example.com")
    api.policy(api.product("dev-forge"), name="pro")
    done = issue("--policy", "dev-forge/pro", "--email", "ada@example.com", "--json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.output)
    assert (row["tier"], row["owner"], row["expires_at"]) == ("pro", str(owner.id), None)
    assert verdict(row["key"])["license"]["id"] == row["id"]


def test_people_read_a_table_with_the_whole_key(api, issue, verdict):
    done = issue("--policy", str(api.policy()), "--expires", "2031-02-03")
    assert done.exit_code == 0, done.output
    key = next(word for word in done.output.split() if word.startswith("DF-"))
    assert verdict(key)["license"]["expires_at"] == "2031-02-03T00:00:00Z"


def test_an_unknown_address_waits(api, issue):
    done = issue("--policy", str(api.policy()), "--email", "late@example.com", "--json")
    assert json.loads(done.output)[0]["owner"] == "waits for late@example.com"


def test_what_cannot_be_issued_ends_with_one_line_and_code_1(api, issue):
    policy_id = str(api.policy())
    for arguments, words in [
        (["--policy", "dev-forge/none"], "Not exactly one policy is called dev-forge/none"),
        (["--policy", str(uuid4())], "Not exactly one policy is called"),
        (["--policy", policy_id, "--user", str(uuid4())], "There is no such user."),
        (["--policy", policy_id, "--email", "nonsense"], "email"),
        (["--policy", policy_id, "--user", str(uuid4()), "--email", "a@example.com"], "either"),
    ]:
        done = issue(*arguments)
        assert done.exit_code == 1, arguments
        assert words in done.output
        assert "Traceback" not in done.output
        assert len(done.output.strip().splitlines()) == 1
    assert api.get("/licenses", by=api.admin()).json["pagination"]["total"] == 0


@pytest.mark.parametrize("arguments", [[], ["--policy", "x", "--user", "me"], ["--expires", "soon"]])
def test_a_misspelt_command_ends_with_code_2(issue, arguments):
    assert issue(*arguments).exit_code == 2


def test_the_command_line_is_named_in_the_audit_trail(api, issue):
    issue("--policy", str(api.policy()), "--json")
    (event,) = api.get("/audit/events?action=license.issued", by=api.admin()).json["data"]
    assert (event["actor_kind"], event["actor_id"]) == ("cli", None)
