"""`flask licenses verify-file`: what support does with a file that a customer sends."""

import json

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.licenses.models import KeyScheme

OLD = utc_now().replace(year=2020)


@pytest.fixture
def owner(api):
    return api.person()


@pytest.fixture
def license_(api, owner, activate):
    made = api.license(owner=owner)
    activate(made, "m1")
    return made


@pytest.fixture
def fetch(api, owner, license_):
    def ask(query=""):
        return api.get(f"/licenses/{license_.id}{query}", by=owner).json["data"]["certificate"]

    return ask


@pytest.fixture
def machine_path(api, owner, license_):
    machines = api.get(f"/licenses/{license_.id}/machines", by=owner).json["data"]
    return f"/machines/{machines[0]['id']}/file"


@pytest.fixture
def verify(app, tmp_path):
    def run(text, *options):
        path = tmp_path / "some.lic"
        path.write_text(text)
        done = app.test_cli_runner().invoke(args=["licenses", "verify-file", str(path), *options])
        return done.exit_code, done.output

    return run


def test_a_genuine_file_is_shown(fetch, verify, license_):
    code, output = verify(fetch("/file"))
    assert code == 0, output
    assert str(license_.id) in output
    assert "license" in output


def test_everything_that_it_says_is_shown_to_scripts(fetch, verify, machine_path):
    code, output = verify(fetch(machine_path), "--json")
    shown = json.loads(output)
    assert (code, shown["kind"], shown["encrypted"]) == (0, "machine", False)
    assert shown["data"]["fingerprint"] == "m1"


def test_an_encrypted_file_is_opened_by_the_key_and_for_a_machine_by_its_fingerprint(
    fetch, verify, license_, machine_path
):
    key = ("--key", f" {license_.key}\n")
    assert verify(fetch("/file?encrypt=true"), *key)[0] == 0
    machines = fetch(f"{machine_path}?encrypt=true")
    assert verify(machines, *key, "--fingerprint", "m1")[0] == 0
    for options in ([], key, [*key, "--fingerprint", "m2"], ["--key", "DF-1", "--fingerprint", "m1"]):
        code, output = verify(machines, *options)
        assert (code, output.startswith("Error: Not genuine, or not to be opened")) == (1, True)


def test_a_file_of_another_machine_is_told(fetch, verify, machine_path):
    code, output = verify(fetch(machine_path), "--fingerprint", "m2")
    assert (code, output) == (1, "Error: The file is for another machine.\n")


def test_a_file_whose_time_is_over_is_told(api, owner, license_, verify, monkeypatch, fetch):
    with monkeypatch.context() as patched:
        patched.setattr("devforge_api.licenses.routes.offline.utc_now", lambda: OLD)
        old = fetch("/file")
    code, output = verify(old)
    assert code == 1
    assert str(license_.id) in output
    assert "It is genuine, and not in force any more." in output


@pytest.mark.parametrize(
    "text", ["", "hello", "-----BEGIN LICENSE FILE-----\nxx\n-----END LICENSE FILE-----"]
)
def test_what_is_no_file_is_told_in_one_line(verify, text):
    code, output = verify(text)
    assert (code, output.count("\n")) == (1, 1)


def test_the_revocation_list_is_verified_too(api, verify):
    text = api.get("/licenses/revocations").json["data"]["certificate"]
    code, output = verify(text)
    assert (code, "revocations" in output) == (0, True)


def test_a_signed_key_is_read(api, verify):
    license_ = api.license(policy={"key_scheme": KeyScheme.SIGNED})
    code, output = verify(license_.key + "\n", "--json")
    assert (code, json.loads(output)["license"]) == (0, str(license_.id))
    code, output = verify(license_.key)
    assert (code, str(license_.id) in output) == (0, True)
    code, output = verify(license_.key[:-9] + "AAAAAAAAA")
    assert (code, output) == (1, "Error: Not genuine: no key of ours has signed it.\n")
