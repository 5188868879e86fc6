"""``flask licenses``: looking at licences and taking them through their life."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from devforge_api.core.clock import utc_now
from tests.factories import code_of


@pytest.fixture
def run(app, api):
    """Run ``flask licenses`` with these arguments; its JSON, or its output, after this exit code."""

    def invoke(*arguments, code=0, text=False, stdin=None):
        arguments = ["licenses", *map(str, arguments), *([] if text else ["--json"])]
        done = app.test_cli_runner().invoke(args=arguments, input=stdin)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done.output if text or code == 2 or "Error:" in done.output else json.loads(done.stdout)

    return invoke


def test_a_licence_is_named_by_its_id_its_key_or_standard_input(api, run):
    license_ = api.license()
    for which, stdin in [(license_.id, None), (license_.key, None), ("-", f"{license_.key}\n")]:
        (row,) = run("show", which, stdin=stdin)
        assert row["id"] == str(license_.id)
    for unknown in (uuid4(), "DF-NOBODYS"):
        assert "There is no such licence." in run("show", unknown, code=1)


def test_show_tells_limits_and_takes_a_key_out_only_when_asked(api, run, activate):
    license_ = api.license(policy={"max_machines": 3}, max_uses=7)
    activate(license_, "m1")
    (row,) = run("show", license_.id)
    assert (row["max_machines"], row["taken_machines"], row["max_uses"], row["max_users"]) == (3, 1, 7, None)
    assert license_.key not in run("show", license_.id, text=True)
    assert license_.key in run("show", license_.id, "--with-key", text=True)


def test_licences_are_listed_newest_first_by_what_they_are(api, run):
    owner, product = api.person(), api.product("dev-forge")
    free, pro = api.policy(product, name="free"), api.policy(product, name="pro")
    first, second = api.license(free, owner=owner), api.license(pro)
    run("suspend", second.id)

    def listed(*options):
        return [row["id"] for row in run("list", *options)]

    assert listed() == [str(second.id), str(first.id)]
    assert listed("--policy", "dev-forge/free") == listed("--user", owner.id) == [str(first.id)]
    assert listed("--status", "suspended") == listed("--limit", 1) == [str(second.id)]
    assert "suspended" in run("list", text=True)
    assert run("list", "--status", "revoked") == []


def test_validate_ends_with_1_unless_the_licence_is_valid(api, run, activate):
    license_ = api.license(policy={"max_machines": 3})
    told = run("validate", license_.id)
    assert (told["valid"], told["code"], told["license_id"]) == (True, "VALID", str(license_.id))
    assert run("validate", license_.key, "--fingerprint", "m1", code=1)["code"] == "NO_MACHINES"
    activate(license_, "m1")
    assert run("validate", license_.key, "--fingerprint", "m1")["code"] == "VALID"
    assert run("validate", license_.key, "--product", "another", code=1)["code"] == "PRODUCT_SCOPE_MISMATCH"
    assert run("validate", license_.key, "--entitlement", "x", code=1)["code"] == "ENTITLEMENTS_MISSING"
    assert "VALID: The licence is valid." in run("validate", license_.id, text=True)


def test_machines_are_listed(api, run, activate):
    license_ = api.license()
    activate(license_, "m1", name="Ada's laptop")
    (row,) = run("machines", license_.id)
    assert (row["fingerprint"], row["name"]) == ("m1", "Ada's laptop")


def test_a_licence_lives_on_the_command_line_and_the_ledger_says_why(api, run):
    admin = api.admin()
    license_ = api.license(policy={"duration_days": 30}, pending=True)
    for step, status in [
        ("fulfill", "active"), ("suspend", "suspended"), ("reinstate", "active"), ("renew", "active"),
        ("rotate-key", "active"), ("revoke", "revoked"),
    ]:  # fmt: skip
        yes = ["--yes"] if step == "revoke" else []
        (row,) = run(step, license_.id, "--reason", f"because {step}", *yes)
        assert row["status"] == status
    entries = api.get(f"/licenses/{license_.id}/ledger", by=admin).json["data"][:-1]
    assert [entry["reason"] for entry in entries][::-1] == [
        "because fulfill", "because suspend", "because reinstate", "because renew", "because rotate-key",
        "because revoke",
    ]  # fmt: skip
    assert {entry["cause"] for entry in entries} == {"operator"}
    assert "LICENSE_NOT_ACTIVE" in run("suspend", license_.id, code=1)


@pytest.mark.parametrize(
    ("step", "options"),
    [("suspend", []), ("revoke", []), ("renew", ["--months", "1"]), ("rotate-key", []), ("transfer", [])],
)
def test_a_dry_run_shows_what_would_be_and_changes_nothing(api, run, verdict, mailbox, step, options):
    owner, admin = api.person(), api.admin()
    license_ = api.license(policy={"duration_days": 30}, owner=owner)
    if step == "transfer":
        options = ["--user", str(admin.id)]
    path = f"/licenses/{license_.id}"
    before = api.get(path, by=admin).json
    (row,) = run(step, license_.key, "--dry-run", *options)
    assert row["id"] == str(license_.id)
    assert "key" not in row
    assert api.get(path, by=admin).json == before
    assert len(api.get(f"{path}/ledger", by=admin).json["data"]) == 1
    assert mailbox.letters() == []
    assert verdict(license_)["code"] == "VALID"


def test_what_is_for_good_is_asked_for_first(api, run, verdict):
    license_ = api.license()
    run("revoke", license_.id, code=1, text=True, stdin="n\n")
    assert verdict(license_)["code"] == "VALID"
    run("revoke", license_.id, text=True, stdin="y\n")
    assert verdict(license_)["code"] == "REVOKED"


def test_a_new_key_is_shown_and_the_former_one_ends_as_said(api, run, verdict):
    license_ = api.license()
    (row,) = run("rotate-key", license_.key, "--overlap-days", 0)
    assert verdict(row["key"])["code"] == "VALID"
    assert verdict(license_)["code"] == "NOT_FOUND"


def test_a_transfer_tells_what_is_exceeded(api, run, activate):
    owner, product = api.person(), api.product("dev-forge")
    license_ = api.license(api.policy(product, name="large", max_machines=5))
    api.policy(product, name="small", max_machines=1)
    for number in range(2):
        activate(license_, f"m{number}")
    (row,) = run("transfer", license_.id, "--policy", "dev-forge/small")
    assert (row["tier"], row["exceeded"], row["machines"]) == ("small", "machines 2/1", 2)
    (row,) = run("transfer", license_.id, "--email", owner.email)
    assert row["owner"] == str(owner.id)
    assert "either" not in row
    assert "REQUIRED" in run("transfer", license_.id, code=1) or "Give" in run(
        "transfer", license_.id, code=1
    )


def test_many_are_issued_in_one_command(api, run):
    policy = api.policy()
    rows = run("issue", "--policy", policy, "--count", 450, "--pending", "--reason", "For resale")
    assert len({row["key"] for row in rows}) == 450
    admin = api.admin()
    assert api.get("/licenses?status=pending", by=admin).json["pagination"]["total"] == 450
    entry = api.get(f"/licenses/{rows[-1]['id']}/ledger", by=admin).json["data"][0]
    assert (entry["event"], entry["cause"], entry["reason"]) == ("issued", "operator", "For resale")


@pytest.mark.parametrize("options", [["--count", "0"], ["--count", "10001"], ["--reason", "x" * 501]])
def test_what_is_out_of_bounds_ends_with_2(api, run, options):
    run("issue", "--policy", api.policy(), *options, code=2)


def test_a_refusal_of_the_api_and_of_the_command_line_are_the_same(api, run):
    license_, admin = api.license(expires_at=utc_now() + timedelta(days=1)), api.admin()
    run("revoke", license_.id, "--yes")
    refused = api.post(f"/licenses/{license_.id}/renew", by=admin)
    assert code_of(refused) in run("renew", license_.id, code=1)
