"""Finding accounts, as the team does."""

import json

import pytest

ADDRESSES = {"ada": "Ada.Lovelace@Example.com", "bob": "bob_1@example.org", "jörg": "jörg@müller.example"}


@pytest.fixture
def admin(api):
    return api.person(role="admin", email="admin@team.example")


@pytest.fixture
def people(api, admin):
    names = {"ada": "Ada Lovelace", "bob": "Bob 100%", "jörg": "Jörg ÄRZTE"}
    for key, email in ADDRESSES.items():
        who = api.person(email=email, verified=key != "bob")
        api.patch(f"/users/{who.id}", {"name": names[key]}, by=admin)
        if key == "jörg":
            api.ban(who.id)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"email_contains": "lovelace"}, {"ada"}),
        ({"email_contains": "LOVELACE@example"}, {"ada"}),
        ({"email_contains": "MÜLLER"}, {"jörg"}),
        ({"email_contains": "b_1"}, {"bob"}),
        ({"email_contains": "a_a"}, set()),
        ({"email_contains": "%"}, set()),
        ({"name_contains": "ADA"}, {"ada"}),
        ({"name_contains": "100%"}, {"bob"}),
        ({"name_contains": "1_0"}, set()),
        ({"name_contains": "ärzte"}, {"jörg"}),
        ({"name": "Ada Lovelace"}, {"ada"}),
        ({"email_contains": "example", "status": "disabled"}, {"jörg"}),
        ({"email_contains": "example.", "email_verified": "false"}, {"bob"}),
        ({"email_verified": "true", "role": "user"}, {"ada", "jörg"}),
        ({"email_contains": "example", "role": "user", "created_at_gte": "2100-01-01T00:00:00Z"}, set()),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_accounts_are_found_by_part_of_address_or_name(api, admin, people, query, found):
    answer = api.get("/users", query_string=query, by=admin)
    assert answer.status_code == 200, answer.json
    assert {user["email"] for user in answer.json["data"]} == {ADDRESSES[key] for key in found}
    assert answer.json["pagination"]["total"] == len(found)


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (("--search", "LOVELACE"), {"ada"}),
        (("--search", "ärzte"), {"jörg"}),
        (("--search", "example", "--status", "disabled"), {"jörg"}),
        (("--search", "example", "--role", "user", "--status", "active"), {"ada", "bob"}),
        (("--search", "nobody"), set()),
    ],
)
def test_the_operator_searches_likewise(app, people, args, found):
    done = app.test_cli_runner().invoke(args=["users", "list", "--json", *args])
    assert done.exit_code == 0
    assert {row["email"] for row in json.loads(done.stdout)} == {ADDRESSES[key] for key in found}


def test_show_tells_of_one_user_and_how_much_is_known(app, api, people):
    license_owner = api.person(email="owner@example.com")
    api.license(owner=license_owner)
    run = app.test_cli_runner().invoke
    told = json.loads(run(args=["users", "show", "OWNER@example.com", "--json"]).stdout)
    assert told["id"] == str(license_owner.id)
    known = told["known"]
    assert (known["licenses/licenses"], known["sign_in/sessions"], known["account/profile"]) == (1, 1, 1)
    assert known["sign_in/totp_factors"] == 0
    table = run(args=["users", "show", "owner@example.com"]).stdout
    assert "owner@example.com" in table
    assert "licenses/licenses" in table
