"""The authorization code with PKCE, from the client's request to its tokens."""

import jwt
import pytest

from devforge_api.auth.models import Purpose
from devforge_api.auth.service.clients import CODE, Client
from tests.factories import PASSWORD, V1, code_of
from tests.oauth.conftest import DESKTOP, REDIRECT, Flow, answer_of, error_of


def me(api, token):
    return api.get("/auth/me", headers={"Authorization": f"Bearer {token}"})


def test_a_client_gets_tokens_for_whoever_signs_in_and_agrees(api, browser, client_app):
    person = api.person(email="ada@example.com")
    flow = Flow()
    page = browser.get(flow.path)
    assert page.status_code == 200
    assert "Dev Forge Desktop" in page.text
    signed_in = browser.send("/oauth/sign-in", {"email": "ADA@example.com", "password": PASSWORD})
    assert signed_in.status_code == 303
    assert signed_in.headers["Location"] == flow.path
    told = browser.consent(flow)
    assert (told[""], told["state"]) == (REDIRECT, "st&te=1")
    assert told["iss"] == api.app.config["PUBLIC_URL"]
    tokens = client_app.exchange(flow, told["code"])
    assert tokens.status_code == 200
    assert set(tokens.json) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert tokens.json["token_type"] == "Bearer"
    assert "profile:read" in tokens.json["scope"].split()
    assert tokens.headers["Cache-Control"] == "no-store"
    assert me(api, tokens.json["access_token"]).json["data"]["id"] == str(person.id)


def test_the_session_is_listed_under_the_clients_name_beside_the_browsers(
    api, signed_in, code_for, client_app
):
    flow = Flow()
    token = client_app.exchange(flow, code_for(flow)).json["access_token"]
    listed = api.get("/auth/sessions", headers={"Authorization": f"Bearer {token}"}).json["data"]
    names = {one["device_name"]: one["current"] for one in listed}
    assert names == {"Dev Forge Desktop": True, "Web browser": False, "Test device": False}


@pytest.mark.parametrize(
    "redirect",
    [
        "http://127.0.0.1:1/callback",
        "http://127.0.0.1:65535/callback",
        "http://127.0.0.1/callback",
        "http://[::1]:49152/callback",
        "devforge://auth/callback",
    ],
)
def test_only_the_port_of_a_loopback_address_may_differ(code_for, client_app, redirect):
    flow = Flow({"redirect_uri": redirect})
    assert client_app.exchange(flow, code_for(flow)).status_code == 200


@pytest.mark.parametrize(
    "redirect",
    [
        "http://localhost:49152/callback",
        "http://127.0.0.1:49152/other",
        "http://127.0.0.1:49152/callback/",
        "http://127.0.0.1:49152/callback?x=1",
        "http://127.0.0.1:49152/callback#x",
        "http://127.0.0.1:49152",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:4915\uff12/callback",
        "http://127.0.0.1:evil@evil.example/callback",
        "http://ada@127.0.0.1:49152/callback",
        "http://127.0.0.1.evil.example:49152/callback",
        "http://127.0.0.2:49152/callback",
        "http://127.1:49152/callback",
        "http://[::ffff:127.0.0.1]:49152/callback",
        "https://127.0.0.1:49152/callback",
        "HTTP://127.0.0.1:49152/callback",
        "http:127.0.0.1:49152/callback",
        "http:\\\\127.0.0.1:49152/callback",
        "//127.0.0.1:49152/callback",
        "devforge://auth/callback/..",
        "devforge://auth/callback?x=1",
        "devforge:auth/callback",
        "javascript:alert(1)",
        'https://evil.example/"><script>alert(1)</script>é',
        "",
        ...,
    ],
)
def test_any_other_address_is_told_on_a_page_and_never_visited(browser, signed_in, redirect):
    page = browser.get(Flow({"redirect_uri": redirect}).path)
    assert page.status_code == 400
    assert "Location" not in page.headers
    assert "http-equiv" not in page.text
    assert "<script" not in page.text
    assert page.mimetype == "text/html"


@pytest.mark.parametrize("client_id", ["unknown", "devforge-cli", "", ..., "<b>x</b>"])
def test_an_unknown_client_or_one_without_addresses_is_told_on_a_page(browser, signed_in, client_id):
    page = browser.get(Flow({"client_id": client_id}).path)
    assert (page.status_code, "Location" in page.headers) == (400, False)
    assert "<b>x" not in page.text


def test_a_client_or_an_address_that_is_named_twice_is_told_on_a_page(browser):
    for more in ("&client_id=devforge-desktop", "&redirect_uri=http://127.0.0.1:2/callback"):
        assert browser.get(Flow().path + more).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": ..., "code_challenge_method": ...}, "invalid_request"),
        ({"code_challenge_method": ...}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "a" * 128}, "invalid_request"),
        ({"code_challenge": "é" * 43}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": 'code"é'}, "unsupported_response_type"),
        ({"response_type": ...}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "profile:read " * 40}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "sideways"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
    ],
)
def test_what_else_is_wrong_is_told_to_the_client(api, browser, changes, error):
    answer = browser.get(Flow(changes).path)
    assert answer.status_code == 303
    told = answer_of(answer.headers["Location"])
    assert (told[""], told["error"], told["state"]) == (REDIRECT, error, "st&te=1")
    assert told["iss"] == api.app.config["PUBLIC_URL"]


@pytest.mark.parametrize("name", ["state", "scope", "prompt", "response_mode", "login_hint", "of_our_own"])
def test_a_parameter_that_comes_twice_is_told_to_the_client(browser, name):
    answer = browser.get(Flow({name: "query"}).path + f"&{name}=query")
    assert answer.status_code == 303
    told = answer_of(answer.headers["Location"])
    assert (told["error"], told["error_description"]) == ("invalid_request", "A parameter came twice.")


def test_a_silent_request_of_somebody_signed_in_is_told_that_consent_is_missing(browser, signed_in):
    answer = browser.get(Flow({"prompt": "none"}).path)
    assert answer_of(answer.headers["Location"])["error"] == "consent_required"


def test_a_request_can_insist_on_a_new_sign_in_which_is_asked_for_once(browser, signed_in):
    before = browser.cookie
    page = browser.get(Flow({"prompt": "login"}).path)
    assert "Sign in to continue" in page.text
    again = browser.send("/oauth/sign-in", {"email": signed_in.email, "password": PASSWORD})
    assert browser.cookie != before
    assert "prompt" not in again.headers["Location"]
    assert "You are signed in as" in browser.follow().text


def test_saying_no_is_told_to_the_client(browser, signed_in):
    told = browser.consent(Flow(), "deny")
    assert (told["error"], told["state"]) == ("access_denied", "st&te=1")
    assert "code" not in told


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ...}, "invalid_request"),
        ({"code_verifier": "é" * 43}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:49153/callback"}, "invalid_grant"),
        ({"redirect_uri": ...}, "invalid_grant"),
        ({"code": "x" * 43}, "invalid_grant"),
        ({"code": "\0"}, "invalid_grant"),
        ({"code": ...}, "invalid_request"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_id": ...}, "invalid_client"),
        ({"client_id": "devforge-cli"}, "unauthorized_client"),
        ({"client_id": "other-app"}, "invalid_grant"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ...}, "invalid_request"),
        ({"grant_type": '"é<script>'}, "unsupported_grant_type"),
    ],
)
def test_a_code_is_exchanged_only_by_whoever_asked_for_it(code_for, client_app, changes, error):
    flow = Flow()
    code = code_for(flow)
    server = client_app.api.app.extensions["devforge-oauth"]
    server.clients["other-app"] = Client("other-app", "Other", (REDIRECT,), frozenset({CODE}))
    try:
        assert error_of(client_app.exchange(flow, code, **changes)) == (400, error)
    finally:
        del server.clients["other-app"]
    assert client_app.exchange(flow, code).status_code == 200


def test_a_parameter_in_the_query_or_twice_or_in_json_does_not_count(code_for, client_app):
    flow = Flow()
    code = code_for(flow)
    http = client_app.http
    query = f"code={code}&grant_type=authorization_code&client_id={DESKTOP}"
    in_query = http.post(f"/oauth/token?{query}", data={})
    assert error_of(in_query) == (400, "invalid_request")
    twice = http.post("/oauth/token", data={"grant_type": ["authorization_code", "refresh_token"]})
    assert error_of(twice) == (400, "invalid_request")
    as_json = http.post("/oauth/token", json={"grant_type": "authorization_code", "code": code})
    assert error_of(as_json) == (400, "invalid_request")


def test_a_code_that_comes_again_ends_the_session_that_it_was_exchanged_for(api, code_for, client_app):
    flow = Flow()
    code = code_for(flow)
    tokens = client_app.exchange(flow, code).json
    assert me(api, tokens["access_token"]).status_code == 200
    assert error_of(client_app.exchange(flow, code)) == (400, "invalid_grant")
    assert code_of(me(api, tokens["access_token"])) == "TOKEN_REVOKED"
    assert error_of(client_app.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


def test_a_code_lasts_a_minute(app, code_for, client_app, expire):
    flow = Flow()
    code = code_for(flow)
    expire(Purpose.AUTHORIZATION_CODE)
    assert error_of(client_app.exchange(flow, code)) == (400, "invalid_grant")


@pytest.mark.parametrize("deed", ["ban", "delete", "logout-all", "sign-out", "password"])
def test_what_happens_to_the_user_before_the_exchange_makes_the_code_worthless(
    api, browser, signed_in, code_for, client_app, deed
):
    flow = Flow()
    code = code_for(flow)
    admin = api.admin()
    if deed == "ban":
        api.ban(signed_in.id)
    elif deed == "delete":
        assert api.delete(f"/users/{signed_in.id}", by=admin).status_code == 204
    elif deed == "logout-all":
        assert api.post("/auth/logout-all", by=signed_in).status_code == 204
    elif deed == "password":
        body = {"current_password": PASSWORD, "new_password": "staple orbit lantern"}
        assert api.post("/auth/password/change", body, by=signed_in).status_code == 204
    else:
        browser.get("/device")
        browser.send("/oauth/sign-out")
    assert error_of(client_app.exchange(flow, code)) == (400, "invalid_grant")


def test_a_refresh_token_is_good_for_its_own_client_alone(api, code_for, client_app):
    flow = Flow()
    tokens = client_app.exchange(flow, code_for(flow)).json
    assert error_of(client_app.refresh(tokens["refresh_token"], "devforge-cli")) == (400, "invalid_grant")
    plain = api.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert code_of(plain) == "TOKEN_INVALID"
    renewed = client_app.refresh(tokens["refresh_token"])
    assert renewed.status_code == 200
    assert me(api, renewed.json["access_token"]).status_code == 200


def test_a_refresh_token_of_a_plain_sign_in_is_no_clients(api, client_app):
    person = api.person()
    assert error_of(client_app.refresh(person.refresh_token)) == (400, "invalid_grant")
    assert api.post("/auth/refresh", {"refresh_token": person.refresh_token}).status_code == 200


def test_refreshing_rotates_with_grace_and_detects_reuse(api, code_for, client_app):
    flow = Flow()
    first = client_app.exchange(flow, code_for(flow)).json["refresh_token"]
    second = client_app.refresh(first).json["refresh_token"]
    assert second != first
    assert client_app.refresh(first).json["refresh_token"] == second
    third = client_app.refresh(second).json
    assert error_of(client_app.refresh(first)) == (400, "invalid_grant")
    assert code_of(me(api, third["access_token"])) == "TOKEN_REVOKED"


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_session(api, code_for, client_app, which):
    flow = Flow()
    tokens = client_app.exchange(flow, code_for(flow)).json
    answer = client_app.post(
        "/oauth/revoke", client_id=DESKTOP, token=tokens[which], token_type_hint="nonsense"
    )
    assert answer.status_code == 200
    assert code_of(me(api, tokens["access_token"])) == "TOKEN_REVOKED"
    assert error_of(client_app.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


def test_revoking_says_200_and_does_nothing_for_what_is_not_the_clients(api, code_for, client_app):
    flow = Flow()
    tokens = client_app.exchange(flow, code_for(flow)).json
    plain = api.person()
    for client_id, token in [
        ("devforge-cli", tokens["access_token"]),
        (DESKTOP, plain.access_token),
        (DESKTOP, "garbage"),
        (DESKTOP, "a.b.c"),
    ]:
        assert client_app.post("/oauth/revoke", client_id=client_id, token=token).status_code == 200
    assert me(api, tokens["access_token"]).status_code == 200
    assert me(api, plain.access_token).status_code == 200
    assert error_of(client_app.post("/oauth/revoke", client_id=DESKTOP)) == (400, "invalid_request")
    assert error_of(client_app.post("/oauth/revoke", token="x")) == (400, "invalid_client")


def test_a_stock_library_verifies_our_access_tokens_by_the_published_keys(api, address):
    person = api.person()
    keys = jwt.PyJWKClient(f"{address}/.well-known/jwks.json")
    key = keys.get_signing_key_from_jwt(person.access_token)
    claims = jwt.decode(person.access_token, key, algorithms=["EdDSA"], audience="dev-forge-api")
    assert claims["sub"] == str(person.id)


def test_the_published_keys_have_no_private_half_and_can_be_kept_for_five_minutes(client):
    answer = client.get("/.well-known/jwks.json")
    assert {name for key in answer.json["keys"] for name in key} == {"kty", "crv", "x", "kid", "use", "alg"}
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    again = client.get("/.well-known/jwks.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_the_metadata_names_what_is_there(api, client):
    document = client.get("/.well-known/oauth-authorization-server").json
    own = api.app.config["PUBLIC_URL"]
    assert document["issuer"] == own
    assert document["code_challenge_methods_supported"] == ["S256"]
    rules = {rule.rule for rule in api.app.url_map.iter_rules()}
    for name, value in document.items():
        if name.endswith(("_endpoint", "_uri")) or name == "service_documentation":
            assert value.removeprefix(own) in rules, name
    assert client.get("/.well-known/openid-configuration").status_code == 404


def test_refusals_of_the_gateway_are_worded_in_the_protocols_form_too(client):
    assert error_of(client.get("/oauth/token")) == (405, "invalid_request")
    assert error_of(client.get("/oauth/nowhere")) == (404, "invalid_request")
    assert client.get("/oauth/sign-in").mimetype == "text/html"
    assert code_of(client.get(f"{V1}/nowhere")) == "NOT_FOUND"
