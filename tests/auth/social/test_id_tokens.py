"""ID tokens that are not what they should be, and what providers publish to check them by."""

import base64
import hmac
import json
import time
from dataclasses import dataclass

import pytest
from joserfc.jwk import KeySet, RSAKey

from devforge_api.auth.service import id_tokens
from tests.auth.social.peers import CLIENT_ID, Browser, refused

pytestmark = pytest.mark.usefixtures("nobody_new")
ADA = {"email": "ada@example.com", "email_verified": True}


def forged(header, claims, signature=b""):
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def by_public_key(peer, claims):
    """What a verifier that takes the algorithm from the token would accept."""
    unsigned = forged({"alg": "HS256", "kid": "one"}, claims).rpartition(".")[0]
    pem = peer.keys.keys[0].as_pem(private=False)
    digest = hmac.digest(pem, unsigned.encode(), "sha256")
    return f"{unsigned}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


STRANGER = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
TOKENS = {
    "alg none": lambda peer, claims: forged({"alg": "none"}, claims),
    "alg None": lambda peer, claims: forged({"alg": "NonE", "kid": "one"}, claims),
    "no alg": lambda peer, claims: forged({"kid": "one"}, claims),
    "HS256 by the public key": by_public_key,
    "another's key": lambda peer, claims: peer.signed(claims, key=STRANGER),
    "a key in the header": lambda peer, claims: peer.signed(
        claims, key=STRANGER, jwk=STRANGER.as_dict(private=False)
    ),
    "unknown kid": lambda peer, claims: peer.signed(claims, kid="unknown"),
    "unknown critical header": lambda peer, claims: forged(
        {"alg": "RS256", "kid": "one", "crit": ["x"], "x": 1}, claims, b"x"
    ),
    "changed afterwards": lambda peer, claims: forged(
        {"alg": "RS256", "kid": "one"},
        {**claims, "sub": "admin"},
        base64.urlsafe_b64decode(peer.signed(claims).split(".")[2] + "=="),
    ),
    "no signature": lambda peer, claims: peer.signed(claims).rpartition(".")[0] + ".",
    "two parts": lambda peer, claims: peer.signed(claims).rpartition(".")[0],
    "encrypted": lambda peer, claims: "a.b.c.d.e",
    "empty": lambda peer, claims: "",
    "no text": lambda peer, claims: {"sub": "x"},
    "nothing": lambda peer, claims: None,
    "too long": lambda peer, claims: peer.signed({**claims, "x": "x" * 40_000}),
    "no object": lambda peer, claims: "bnVsbA.bnVsbA.bnVsbA",
    "NUL": lambda peer, claims: peer.signed(claims) + "\0",
}


def test_only_signatures_by_a_key_that_nobody_else_has_are_known(app):
    assert not [one for one in id_tokens.ALGORITHMS if one == "none" or one.startswith("HS")]


@pytest.mark.parametrize("forge", TOKENS.values(), ids=TOKENS.keys())
def test_an_id_token_that_the_provider_did_not_sign_is_refused(browser, acme, forge):
    acme.sign = lambda claims: forge(acme, claims)
    refused(browser.sign_in(acme, **ADA))


@dataclass(frozen=True)
class In:
    """So many seconds from when the test runs."""

    seconds: int


def of_now(claims):
    return {
        name: int(time.time()) + value.seconds if isinstance(value, In) else value
        for name, value in claims.items()
    }


CLAIMS = [
    {"aud": "another"}, {"aud": ...}, {"aud": []}, {"aud": ["another"]}, {"aud": [CLIENT_ID, "another"]},
    {"aud": [CLIENT_ID, "another"], "azp": "another"}, {"azp": "another"}, {"azp": ""},
    {"aud": CLIENT_ID + " "},
    {"iss": "https://evil.example"}, {"iss": ...}, {"iss": None}, {"iss": "http://127.0.0.1"},
    {"nonce": "another"}, {"nonce": ...}, {"nonce": None}, {"nonce": ""}, {"nonce": 1}, {"nonce": "\ud800"},
    {"exp": In(-3600)}, {"exp": ...}, {"exp": "4000000000"}, {"exp": True}, {"exp": None},
    {"iat": In(3600)}, {"iat": ...}, {"nbf": In(3600)},
    {"sub": ...}, {"sub": ""}, {"sub": 5}, {"sub": None}, {"sub": "x" * 256}, {"sub": "a\0b"},
    {"sub": "\ud800"},
]  # fmt: skip


@pytest.mark.parametrize("claims", CLAIMS, ids=str)
def test_an_id_token_for_others_of_another_time_or_about_nobody_is_refused(browser, acme, claims):
    refused(browser.sign_in(acme, **{**ADA, **of_now(claims)}))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT_ID]},
        {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID},
        {"azp": CLIENT_ID},
        {"exp": In(-20), "iat": In(-400)},
        {"iat": In(20)},
    ],
    ids=str,
)
def test_a_proper_id_token_signs_in(browser, acme, claims):
    assert browser.sign_in(acme, **{**ADA, **of_now(claims)}).status_code == 200


def test_keys_that_changed_are_fetched_anew_and_the_next_one_signs_in(social_with, acme, monkeypatch):
    browser = Browser(social_with())
    assert browser.sign_in(acme, **ADA).status_code == 200
    monkeypatch.setattr(acme, "keys", KeySet([RSAKey.generate_key(2048, {"kid": "two"})]))
    acme.requests.clear()
    assert browser.sign_in(acme, **ADA).status_code == 200
    assert acme.requests == ["/token", "/jwks"]
    acme.sign = lambda claims: acme.signed(claims, kid="unknown")
    for _ in range(3):
        refused(browser.sign_in(acme, **ADA))
    assert acme.requests.count("/jwks") == 1  # once a minute at most


def test_what_a_provider_publishes_is_asked_for_once_an_hour_and_everybody_signs_in(
    social_with, acme, monkeypatch
):
    browser = Browser(social_with())
    for _ in range(3):
        assert browser.sign_in(acme, **ADA).status_code == 200
    assert acme.requests.count("/jwks") == acme.requests.count("/.well-known/openid-configuration") == 1
    later = time.monotonic() + 3601
    monkeypatch.setattr(id_tokens.time, "monotonic", lambda: later)
    assert browser.sign_in(acme, **ADA).status_code == 200
    assert acme.requests.count("/jwks") == 2


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "https://user@evil.example"},
    ],
)
def test_discovery_that_speaks_of_another_or_leads_astray_is_refused(social_with, acme, metadata):
    acme.metadata = metadata
    refused(Browser(social_with()).start(), "PROVIDER_UNAVAILABLE", 503)
