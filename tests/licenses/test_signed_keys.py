"""Signed keys: what a key says can be read, and trusted, without asking."""

import base64
import json
from datetime import timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db
from devforge_api.licenses.models import KeyScheme, Policy
from devforge_api.licenses.service.certificates import read, secret_of
from devforge_api.licenses.service.keys import make_key, read_signed_key
from tests.factories import code_of


def from_b64url(letters):
    return base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))


@pytest.fixture
def signed(api):
    """A licence with a signed key."""

    def make(**values):
        policy = {"key_scheme": KeyScheme.SIGNED, **values.pop("policy", {})}
        return api.license(policy=policy, **values)

    return make


@pytest.fixture
def published(api):
    """Our public keys, as everybody gets them."""
    keys = api.client.get("/.well-known/license-keys.json").json["keys"]
    return {key["kid"]: Ed25519PublicKey.from_public_bytes(from_b64url(key["x"])) for key in keys}


def test_a_signed_key_says_under_a_published_signature_what_it_opens(api, signed, published):
    product_id = api.product("dev-forge")
    policy_id = api.policy(product_id, key_scheme=KeyScheme.SIGNED, duration_days=30)
    license_ = api.license(policy_id)
    text, _, signature = license_.key.partition(".")
    assert text.startswith("key/")
    payload = json.loads(from_b64url(text.removeprefix("key/")))
    published[payload["kid"]].verify(from_b64url(signature), text.encode())
    with pytest.raises(InvalidSignature):
        published[payload["kid"]].verify(from_b64url(signature), text.encode() + b"A")
    expiry = api.get(f"/licenses/{license_.id}", by=api.admin()).json["data"]["expires_at"]
    assert payload["expiry"] == expiry[:19] + "Z"
    assert set(payload) == {"license", "product", "policy", "issued", "expiry", "kid", "nonce"}
    assert (payload["license"], payload["product"]) == (str(license_.id), "dev-forge")
    assert payload["policy"] == str(policy_id)


def test_a_perpetual_licences_signed_key_says_so(api, signed):
    with api.app.app_context():
        found = read_signed_key(signed().key)
    assert found is not None
    assert found["expiry"] is None


def test_the_longest_signed_key_can_be_sent(api, verdict):
    policy_id = api.policy(api.product("p" * 64), key_scheme=KeyScheme.SIGNED, duration_days=30)
    license_ = api.license(policy_id)
    assert len(license_.key) <= 512
    assert verdict(license_)["code"] == "VALID"


def test_a_signed_key_does_all_that_a_random_one_does(api, signed, activate, verdict):
    owner = api.person()
    license_ = signed(owner=owner, policy={"max_machines": 1})
    assert activate(license_, "m1").status_code == 201
    assert code_of(activate(license_, "m2")) == "MACHINE_LIMIT_EXCEEDED"
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"
    assert api.get(f"/licenses/{license_.id}", by=owner).json["data"]["key"] == license_.key
    file = api.get(f"/licenses/{license_.id}/file?encrypt=true", by=owner).json["data"]["certificate"]
    with api.app.app_context():
        assert read(file, secret=secret_of(license_.key)).encrypted


def test_blanks_and_line_breaks_in_a_copied_key_do_not_matter(signed, verdict, api):
    for license_ in (signed(), api.license()):
        middle = len(license_.key) // 2
        copied = f"  {license_.key[:middle]}\r\n {license_.key[middle:]}\n"
        assert verdict(copied)["code"] == "VALID"


def test_a_genuine_signature_alone_opens_nothing(api, signed, verdict):
    """Keys are found by what was issued: a key that was replaced, or never given out, is unknown."""
    license_ = signed()
    with api.app.app_context():
        policy = db.session.get(Policy, license_.policy_id)
        assert policy is not None
        other = make_key(policy, license_.id, now=utc_now())
        assert read_signed_key(other) is not None
    assert verdict(other)["code"] == "NOT_FOUND"


def test_two_keys_of_one_licence_and_one_moment_differ(api, signed):
    license_ = signed()
    now = utc_now() + timedelta(days=1)
    with api.app.app_context():
        policy = db.session.get(Policy, license_.policy_id)
        assert policy is not None
        keys = [make_key(policy, license_.id, now=now) for _ in range(2)]
        assert keys[0] != keys[1]
        assert {read_signed_key(key)["issued"] for key in keys} == {rfc3339(now.replace(microsecond=0))}


def test_what_was_tampered_with_is_not_read(api, signed):
    key = signed().key
    with api.app.app_context():
        assert read_signed_key(key) is not None
        for place in range(0, len(key), 7):
            # Not the last letter of a group alone: some of its bits mean nothing.
            swapped = "A" if key[place] != "A" else "B"
            assert read_signed_key(key[:place] + swapped + key[place + 1 :]) is None, place
        for other in ("", "key/", "key/.", "DF-1", key.partition(".")[0], "key/W10.AAAA", "key/é.AAAA"):
            assert read_signed_key(other) is None


def test_support_sees_the_end_of_a_signed_key(api, signed):
    license_ = signed()
    shown = api.get(f"/licenses/{license_.id}", by=api.person(role="support")).json["data"]["key"]
    assert shown == f"key…-{license_.key[-6:]}"


def test_an_order_that_waits_has_nothing_signed_until_it_is_fulfilled(api, signed, verdict):
    """What is signed works offline, and an unpaid licence must not."""
    admin, license_ = api.admin(), signed(pending=True)
    with api.app.app_context():
        assert read_signed_key(license_.key) is None
    assert verdict(license_)["code"] == "PENDING"
    done = api.post(f"/licenses/{license_.id}/fulfill", by=admin).json["data"]
    with api.app.app_context():
        assert read_signed_key(done["key"])["license"] == str(license_.id)
    waited_with, made = verdict(license_), verdict(done["key"])
    assert (waited_with["code"], made["code"]) == ("VALID", "VALID")
    assert waited_with["license"]["key_valid_until"] is not None
    assert made["license"]["key_valid_until"] is None
