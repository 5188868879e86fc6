"""docs/examples, in Python and in Node, against files of the running application."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from devforge_api.core import keys
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import KeyScheme, License
from devforge_api.licenses.queries import find_facts
from devforge_api.licenses.service.keys import hash_key
from devforge_api.licenses.service.leases import lease
from tests.docs.offline import Python, Refused, TypeScript

DAY = timedelta(days=1)
NOTHING_YET = {"latest": "1970-01-01T00:00:00Z", "counter": 0, "next": 0, "listed": {}}


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """One process for all tests."""
    running = TypeScript(tmp_path_factory.mktemp("examples"))
    yield running
    running.end()


@pytest.fixture(params=["python", "typescript"])
def example(request):
    return Python() if request.param == "python" else request.getfixturevalue("node")


@pytest.fixture
def key_set(app):
    return app.test_client().get("/.well-known/license-keys.json").json


@pytest.fixture
def owner(api):
    return api.person()


@pytest.fixture
def license_(api, owner, activate_m1):
    return activate_m1(api.license(owner=owner, policy={"entitlements": [str_of(api, "cloud-sync")]}))


def str_of(api, code):
    assert api.entitlement(code)
    return code


@pytest.fixture
def activate_m1(api):
    def activate(license_):
        body = {"key": license_.key, "fingerprint": "m1"}
        assert api.post("/licenses/activate", body).status_code == 201
        return license_

    return activate


@pytest.fixture
def files(api, owner, license_):
    """Every kind of file for a machine, by name: (kind, text, secret)."""

    def fetch(path):
        answer = api.get(f"/licenses/{license_.id}{path}", by=owner)
        return answer.json["data"]["certificate"]

    machine = api.get(f"/licenses/{license_.id}/machines", by=owner).json["data"][0]["id"]
    return {
        "license": ("license", fetch("/file?include=machines"), None),
        "encrypted license": ("license", fetch("/file?encrypt=true"), license_.key),
        "machine": ("machine", fetch(f"/machines/{machine}/file"), None),
        "encrypted machine": (
            "machine",
            fetch(f"/machines/{machine}/file?encrypt=true"),
            license_.key + "m1",
        ),
    }


@pytest.fixture
def give_lease(app, license_):
    """A lease's text, as the server gives it; facts can be other than they are."""

    def give(*, counter=1, days_ago=0, **facts):
        with app.app_context():
            found = find_facts(hash_key(license_.key), ("m1",), now=utc_now() - days_ago * DAY)
            assert found is not None
            found = replace(found, **facts)
            return lease(found, found.seats[0], key=license_.key, counter=counter).file

    return give


@pytest.fixture
def open_lease(example, give_lease, license_, key_set):
    def given(**values):
        return example("open_machine_file", give_lease(**values), key_set, license_.key, "m1")

    return given


def code_of_refusal(example, *args):
    with pytest.raises(Refused) as refused:
        example(*args)
    return str(refused.value)


# --- files ---------------------------------------------------------------------------------
def test_every_kind_of_file_is_opened(example, files, key_set, license_):
    for kind, text, secret in files.values():
        document = example("open_certificate", kind, text, key_set, secret)
        assert document["data"]["type"] == kind
        assert str(license_.id) in json.dumps(document)
        judged = example("judge", document, NOTHING_YET, utc_now(), "unreachable")
        assert (judged["usable"], judged["reason"]) == (True, "VALID")


def swap(text, place):
    """The text with another letter of base64 there."""
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def reassembled(text, **parts):
    """A file with other parts, as somebody without our key would make it."""
    head, *lines, tail = text.strip().splitlines()
    whole = json.loads(base64.b64decode("".join(lines))) | parts
    return "\n".join((head, base64.b64encode(json.dumps(whole).encode()).decode(), tail))


def parts_of(text):
    return json.loads(base64.b64decode("".join(text.strip().splitlines()[1:-1])))


@pytest.mark.parametrize("name", ["license", "encrypted license", "machine", "encrypted machine"])
def test_nothing_that_was_tampered_with_is_opened(example, files, key_set, name):
    kind, text, secret = files[name]
    whole = parts_of(text)
    enc, sig = whole["enc"], whole["sig"]
    changed = [reassembled(text, enc=swap(enc, place)) for place in (0, len(enc) // 2, len(enc) - 5)]
    if secret:  # within each of its parts, and parts in another order
        first, second, third = enc.split(".")
        for more in [
            (first, swap(second, 2), third),
            (first, second, swap(third, 2)),
            (first, third, second),
        ]:
            changed.append(reassembled(text, enc=".".join(more)))
    changed += [reassembled(text, sig=swap(sig, place)) for place in (0, 44, 80)]
    changed += [reassembled(text, sig=""), reassembled(text, sig=sig[:-8])]
    for one in changed:
        assert code_of_refusal(example, "open_certificate", kind, one, key_set, secret) == "BAD_SIGNATURE"
    for kid in ("", "another"):
        one = reassembled(text, kid=kid)
        assert code_of_refusal(example, "open_certificate", kind, one, key_set, secret) == "UNKNOWN_KEY"
    one = reassembled(text, alg="none")
    assert code_of_refusal(example, "open_certificate", kind, one, key_set, secret) == "UNKNOWN_ALGORITHM"
    other = "MACHINE" if kind == "license" else "LICENSE"
    relabelled = text.replace(kind.upper(), other)
    refused = code_of_refusal(example, "open_certificate", other.lower(), relabelled, key_set, secret)
    assert refused == "BAD_SIGNATURE"
    for one in ("", "x", text[:200], text.replace("BEGIN", "BEGUN"), reassembled(text, sig=None)[5:]):
        assert code_of_refusal(example, "open_certificate", kind, one, key_set, secret) == "MALFORMED"


def test_an_encrypted_file_opens_with_its_own_key_and_fingerprint_alone(example, files, key_set, license_):
    _, text, _ = files["encrypted machine"]
    assert (
        example("open_machine_file", text, key_set, f" {license_.key}\n", "m1")["data"]["fingerprint"] == "m1"
    )
    for key, fingerprint in [("DF-1", "m1"), (license_.key, "m2"), (license_.key, "")]:
        refused = code_of_refusal(example, "open_machine_file", text, key_set, key, fingerprint)
        assert refused == "WRONG_SECRET"


def test_a_plain_file_of_another_machine_is_refused(example, files, key_set, license_):
    _, text, _ = files["machine"]
    refused = code_of_refusal(example, "open_machine_file", text, key_set, license_.key, "m2")
    assert refused == "OTHER_MACHINE"


def test_a_file_that_another_key_has_signed_is_refused(example, files, key_set, app):
    kind, text, _ = files["license"]
    with app.app_context():
        other = keys.keyring(keys.KeyPurpose.TOKENS).signing()
    whole = parts_of(text)
    forged = base64.b64encode(other.private.sign(f"{kind}/{whole['enc']}".encode())).decode()
    for values, refusal in [
        ({"sig": forged}, "BAD_SIGNATURE"),
        ({"sig": forged, "kid": other.kid}, "UNKNOWN_KEY"),
    ]:
        one = reassembled(text, **values)
        assert code_of_refusal(example, "open_certificate", kind, one, key_set) == refusal


def test_after_a_rotation_an_old_file_opens_by_the_key_set_that_keeps_its_key_and_by_no_other(
    example, files, key_set
):
    kind, text, _ = files["license"]
    (own,) = key_set["keys"]
    new = {**own, "kid": "new", "x": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")}
    assert example("open_certificate", kind, text, {"keys": [own, new]})
    assert code_of_refusal(example, "open_certificate", kind, text, {"keys": [new]}) == "UNKNOWN_KEY"


# --- leases --------------------------------------------------------------------------------
def test_a_lease_is_used_until_it_expires_and_then_by_its_failure_policy(example, open_lease):
    given = open_lease()
    memory = example("accept", given, NOTHING_YET)
    now = utc_now()

    def judged(days, outcome):
        found = example("judge", given, memory, now + days * DAY, outcome)
        return found["usable"], found["reason"]

    for outcome in ("unreachable", "too_many_requests", "server_error"):
        assert judged(29, outcome) == (True, "VALID")
        assert judged(31, outcome) == (True, "GRACE")
        assert judged(38, outcome) == (False, "EXPIRED")
    assert judged(31, "valid") == (False, "EXPIRED")  # asked, and has no newer one: nothing excuses that
    assert judged(0, "refused") == (False, "REFUSED")


def test_grace_lengthens_no_licence_that_is_over(example, open_lease):
    given = open_lease(expires_at=utc_now() + 10 * DAY)
    judged = example("judge", given, NOTHING_YET, utc_now() + 11 * DAY, "unreachable")
    assert (judged["usable"], judged["reason"]) == (False, "EXPIRED")


def test_a_clock_that_was_set_back_is_noticed_and_the_servers_word_corrects_it(example, open_lease):
    old, now = open_lease(counter=1), utc_now()
    memory = example("accept", old, NOTHING_YET)
    before_it_was_given = example("judge", old, memory, now - DAY, "unreachable")
    assert (before_it_was_given["usable"], before_it_was_given["reason"]) == (False, "CLOCK_SET_BACK")
    used = example("judge", old, memory, now + 20 * DAY, "unreachable")
    assert used["usable"]
    back = example("judge", old, used["memory"], now + 10 * DAY, "unreachable")
    assert (back["usable"], back["reason"], back["memory"]) == (False, "CLOCK_SET_BACK", used["memory"])
    small = example("judge", old, used["memory"], now + 20 * DAY - timedelta(minutes=4), "unreachable")
    assert small["usable"]
    fresh = open_lease(counter=2)  # the clock had been ahead: now it is right
    memory = example("accept", fresh, used["memory"])
    assert example("judge", fresh, memory, now + timedelta(minutes=1), "unreachable")["usable"]


def test_an_older_lease_is_neither_accepted_nor_used(example, open_lease):
    old, new = open_lease(counter=6), open_lease(counter=7)
    memory = example("accept", new, NOTHING_YET)
    assert code_of_refusal(example, "accept", old, memory) == "OLDER_LEASE"
    assert code_of_refusal(example, "accept", new, memory) == "OLDER_LEASE"
    assert example("judge", old, memory, utc_now(), "unreachable")["reason"] == "OLDER_LEASE"
    assert example("judge", new, memory, utc_now(), "unreachable")["usable"]


def test_a_feature_ends_within_a_lease(example, open_lease):
    now = utc_now()
    given = open_lease(own_entitlements=(("ai", now + DAY), ("beta", None)))
    for code, days, included in [
        ("ai", 0, True), ("ai", 2, False), ("beta", 2, True), ("cloud-sync", 2, True), ("none", 0, False),
    ]:  # fmt: skip
        assert example("is_entitled", given, code, now + days * DAY) is included, code


# --- the revocation list -------------------------------------------------------------------
def test_a_revoked_licence_is_refused_by_the_list_and_a_restored_one_is_not(
    example, api, open_lease, license_, key_set
):
    given, admin = open_lease(), api.admin()
    memory = example("accept", given, NOTHING_YET)

    def after(verb):
        nonlocal memory
        assert api.post(f"/licenses/{license_.id}/{verb}", by=admin).status_code == 200
        text = api.get(f"/licenses/revocations?since={memory['next']}").json["data"]["certificate"]
        memory = example("learn", text, key_set, memory)
        judged = example("judge", given, memory, utc_now(), "unreachable")
        return judged["usable"], judged["reason"]

    assert after("suspend") == (False, "SUSPENDED")
    assert after("reinstate") == (True, "VALID")
    assert after("revoke") == (False, "REVOKED")
    assert memory["next"] == 3


def test_a_list_that_was_not_asked_for_or_is_old_or_forged_teaches_nothing(
    example, api, key_set, monkeypatch, license_
):
    assert api.post(f"/licenses/{license_.id}/revoke", by=api.admin()).status_code == 200
    text = api.get("/licenses/revocations?since=0").json["data"]["certificate"]
    learned = example("learn", text, key_set, NOTHING_YET)
    assert learned["listed"] == {str(license_.id): "revoked"}
    empty = api.get("/licenses/revocations?since=1").json["data"]["certificate"]
    assert example("learn", empty, key_set, learned) == learned
    assert code_of_refusal(example, "learn", empty, key_set, NOTHING_YET) == "GAP"
    later = {**learned, "latest": (utc_now() + 2 * DAY).isoformat()}
    assert code_of_refusal(example, "learn", text, key_set, later) == "OLDER_LIST"
    forged = reassembled(text, enc=base64.b64encode(b'{"meta":{},"data":[]}').decode())
    assert code_of_refusal(example, "learn", forged, key_set, learned) == "BAD_SIGNATURE"
    restored = api.get("/licenses/revocations?since=999").json["data"]["certificate"]
    afresh = example("learn", restored, key_set, {**learned, "next": 999, "listed": {"gone": "revoked"}})
    assert afresh == learned


# --- signed keys ---------------------------------------------------------------------------
def test_a_signed_key_is_read_and_a_forged_one_is_not(example, api, key_set):
    license_ = api.license(policy={"key_scheme": KeyScheme.SIGNED, "duration_days": 30})
    found = example("open_signed_key", f"{license_.key[:40]}\n{license_.key[40:]} ", key_set)
    assert (found["license"], found["policy"]) == (str(license_.id), str(license_.policy_id))
    dot = license_.key.index(".")
    for place in (dot + 1, dot + 40):
        forged = swap(license_.key, place)
        assert code_of_refusal(example, "open_signed_key", forged, key_set) == "BAD_SIGNATURE"
    for other in ("", "key/", "DF-1", "key/e30.AA"):
        assert code_of_refusal(example, "open_signed_key", other, key_set) == "MALFORMED"


def test_an_expired_file_is_refused(example, api, owner, license_, key_set, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("devforge_api.licenses.routes.offline.utc_now", lambda: utc_now() - 31 * DAY)
        text = api.get(f"/licenses/{license_.id}/file", by=owner).json["data"]["certificate"]
    document = example("open_certificate", "license", text, key_set)
    for outcome in ("unreachable", "valid"):  # a file has no failure policy
        judged = example("judge", document, NOTHING_YET, utc_now(), outcome)
        assert (judged["usable"], judged["reason"]) == (False, "EXPIRED")


def test_a_suspended_licence_gets_no_file_to_begin_with(api, owner, license_):
    with api.app.app_context(), unit_of_work():
        suspended = update(License).where(License.id == license_.id).values(status="suspended")
        db.session.execute(suspended)
    assert api.get(f"/licenses/{license_.id}/file", by=owner).status_code == 409
