import re

import pytest
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from devforge_api.core.db import db
from devforge_api.core.limits import address_key
from tests.factories import code_of

HUGE = "x" * 20_000


def error_of(response):
    return response.get_json()["error"]


def test_an_unknown_address_below_api_is_a_404_in_the_envelope(api):
    refused = api.get("/nowhere")
    assert (refused.status_code, code_of(refused)) == (404, "NOT_FOUND")
    assert error_of(refused)["request_id"] == refused.headers["X-Request-ID"]
    assert api.client.get("/api").json["error"]["code"] == "NOT_FOUND"


def test_a_wrong_method_names_the_right_ones(api):
    refused = api.delete("/auth/login")
    assert (refused.status_code, code_of(refused)) == (405, "METHOD_NOT_ALLOWED")
    assert {name.strip() for name in refused.headers["Allow"].split(",")} == {"POST", "OPTIONS"}


def test_every_invalid_field_is_named_with_its_place(api):
    body = {
        "product_id": "x",
        "name": "",
        "max_machines": 0,
        "entitlements": ["ok", "Not A Code"],
        "surprise": 1,
    }
    refused = api.post("/policies", body, by=api.admin())
    assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")
    details = {item["field"]: item for item in error_of(refused)["details"]}
    assert set(details) == {"product_id", "name", "max_machines", "entitlements.1", "surprise"}
    assert details["surprise"]["code"] == "UNKNOWN_FIELD"
    assert all(item["message"] for item in details.values())
    assert error_of(refused)["field"] == error_of(refused)["details"][0]["field"]


def test_a_missing_field_is_told_apart_from_a_wrong_one(api):
    refused = api.post("/auth/login", {"email": "no address"})
    codes = {item["field"]: item["code"] for item in error_of(refused)["details"]}
    assert codes == {"email": "INVALID", "password": "REQUIRED"}


def test_an_unhandled_exception_tells_its_caller_nothing(make_api, add_route, capsys):
    api = make_api()

    def broken():
        raise ZeroDivisionError("the secret formula")

    add_route(api, "/api/v1/broken", broken)
    refused = api.get("/broken")
    assert (refused.status_code, code_of(refused)) == (500, "INTERNAL_ERROR")
    assert "formula" not in refused.text
    assert "Traceback" not in refused.text
    logged = capsys.readouterr().err
    assert "the secret formula" in logged
    assert error_of(refused)["request_id"] in logged


def test_a_database_that_is_away_is_a_503(make_api, on_postgresql, tmp_path):
    url = "postgresql://nobody@127.0.0.1:1/none" if on_postgresql else f"sqlite:///{tmp_path}/none/x.db"
    api = make_api(DEVFORGE_DATABASE_URL=url)
    refused = api.post("/licenses/validate", {"key": "any"})
    assert (refused.status_code, code_of(refused)) == (503, "SERVICE_UNAVAILABLE")
    assert int(refused.headers["Retry-After"]) >= 1
    assert "127.0.0.1" not in refused.text


def test_a_full_pool_of_connections_is_a_503(make_api):
    api = make_api(DEVFORGE_DATABASE_POOL_SIZE="1")
    with api.app.app_context():
        pool = db.engine.pool
        assert isinstance(pool, QueuePool)
        pool._timeout, pool._max_overflow = 0.05, 0
        with db.engine.connect():
            refused = api.post("/licenses/validate", {"key": "any"})
    assert (refused.status_code, code_of(refused)) == (503, "SERVICE_UNAVAILABLE")


@pytest.mark.production_column("SQLite takes any value")
def test_a_value_that_the_database_refuses_is_a_400(make_api, add_route):
    api = make_api()

    def overflowing():
        db.session.execute(text("SELECT 1 / 0"))

    add_route(api, "/api/v1/overflowing", overflowing)
    refused = api.get("/overflowing")
    assert (refused.status_code, code_of(refused)) == (400, "MALFORMED_REQUEST")
    assert "division" not in refused.text


@pytest.mark.parametrize("given", ["abcd1234", "trace.ID-1_2", "a" * 64])
def test_a_clean_request_id_is_kept(api, given):
    assert api.get("/nowhere", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", [None, "", "short", "a" * 65, "with space 1", "ünïcode-id", 'x"}{"y":"12', HUGE]
)
def test_any_other_request_id_is_replaced(api, given):
    answer = api.get("/nowhere", headers={"X-Request-ID": given} if given is not None else {})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_two_requests_never_share_a_request_id(api):
    assert api.get("/a").headers["X-Request-ID"] != api.get("/a").headers["X-Request-ID"]


@pytest.mark.parametrize("path", ["/health", "/api/v1/nowhere", "/api/v1/openapi.json", "/elsewhere"])
def test_every_answer_is_armoured(client, path):
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers


def test_plain_http_is_refused_where_https_is_required(make_api):
    api = make_api(REQUIRE_HTTPS=True)
    refused = api.get("/auth/me")
    assert (refused.status_code, code_of(refused)) == (403, "HTTPS_REQUIRED")
    admitted = api.get("/auth/me", base_url="https://localhost")
    assert code_of(admitted) == "TOKEN_MISSING"
    assert admitted.headers["Strict-Transport-Security"].startswith("max-age=")
    assert api.client.get("/health").status_code == 200


def test_the_scheme_is_told_by_a_trusted_proxy_alone(make_api):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    direct = make_api(REQUIRE_HTTPS=True)
    assert code_of(direct.get("/auth/me", headers=forwarded)) == "HTTPS_REQUIRED"
    behind = make_api(REQUIRE_HTTPS=True, DEVFORGE_TRUSTED_PROXIES="1")
    assert code_of(behind.get("/auth/me", headers=forwarded)) == "TOKEN_MISSING"


@pytest.mark.parametrize(
    ("hops", "forwarded", "seen"),
    [
        (0, "198.51.100.1", "127.0.0.1"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (2, "6.6.6.6, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
        (2, "198.51.100.1", "127.0.0.1"),
        (1, None, "127.0.0.1"),
    ],
)
def test_the_address_is_that_of_the_last_hop_that_is_trusted(make_api, hops, forwarded, seen):
    api = make_api(DEVFORGE_TRUSTED_PROXIES=str(hops))
    body = {"email": "ada@example.com", "password": "staple orbit lantern"}
    tokens = api.post("/auth/register", body, headers={"X-Forwarded-For": forwarded} if forwarded else {})
    bearer = {"Authorization": f"Bearer {tokens.json['data']['access_token']}"}
    assert api.get("/auth/sessions", headers=bearer).json["data"][0]["address"] == seen


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::"),
        ("not an address", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_addresses_are_counted_by_who_can_have_them(address, key):
    assert address_key(address) == key


@pytest.mark.parametrize("name", ["User-Agent", "Accept", "Authorization", "If-None-Match", "X-Anything"])
def test_a_huge_header_breaks_nothing(api, name):
    answer = api.get("/auth/me", headers={name: HUGE})
    assert answer.status_code == 401
