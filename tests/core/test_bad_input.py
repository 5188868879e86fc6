"""What cannot be meant is refused in the envelope, and nothing is written."""

import json
from io import BytesIO

import pytest
from sqlalchemy import func, select

from devforge_api.core.db import db
from tests.factories import V1, code_of

JSON = {"Content-Type": "application/json"}
GOOD = b'{"name": "Forge", "code": "forge"}'
# Who wrote what; sessions' last-seen moments and the like may move.
WATCHED = ("products", "users", "licenses", "audit_events", "outbox", "idempotency_keys")


@pytest.fixture
def refused(api):
    """Send raw bytes as a new product; expect a refusal that leaves no row behind."""
    admin = api.admin()

    def counts():
        tables = [db.metadata.tables[name] for name in WATCHED]
        with api.app.app_context():
            return [db.session.scalar(select(func.count()).select_from(table)) for table in tables]

    def send(status, body=GOOD, path="/products", method="POST", headers=JSON, **kwargs):
        before = counts()
        answer = api.client.open(
            V1 + path, method=method, data=body, headers={**admin.headers, **headers}, **kwargs
        )
        assert answer.status_code == status, answer.text[:500]
        assert answer.json["success"] is False
        assert set(answer.json["error"]) >= {"code", "message", "request_id"}
        assert "Traceback" not in answer.text
        assert len(answer.data) < 4000
        assert counts() == before
        return code_of(answer)

    return send


def product(name=None, code="forge", metadata=None):
    text = json.dumps({"name": name or "Forge", "code": code})
    if metadata is None:
        return text.encode()
    return (text[:-1] + ', "metadata": ' + metadata + "}").encode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a\x00b", "code": "forge"}',
        rb'{"name": "a\u0000b", "code": "forge"}',
        rb'{"name": "\ud800", "code": "forge"}',
        rb'{"name": "\udfff\ud800", "code": "forge"}',
        rb'{"name": "Forge", "code": "forge", "metadata": {"a\u0000": 1}}',
        rb'{"name": "Forge", "code": "forge", "metadata": {"a": ["\uDC00"]}}',
        b'{"name": "\xed\xa0\x80", "code": "forge"}',
        b'{"name": "\xff", "code": "forge"}',
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.decode().encode("utf-32-le"),
        b"[" * 20_000 + b"]" * 20_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        rb'["\u0000",' + b"[" * 900 + b"]" * 900 + b"]",
        product(metadata='{"n": ' + "9" * 5000 + "}"),
        product(metadata='{"n": -' + "9" * 5000 + "}"),
        product(metadata='{"n": 1e400}'),
        product(metadata='{"n": [-1e999]}'),
        product(metadata='{"n": NaN}'),
        product(metadata='{"n": Infinity}'),
        b'{"name": "Forge", "code": "forge", "code": "forge"}',
        product(metadata='{"a": {"b": 1, "b": 1}}'),
        b"",
        b" ",
        b"{",
        GOOD + b"{}",
        b"{'name': 'Forge'}",
        b'{"name": "Forge", "code": "forge",}',
        b"name=Forge&code=forge",
    ],
)
def test_a_body_that_is_not_strict_json_is_malformed(refused, body):
    assert refused(400, body) == "MALFORMED_REQUEST"


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b'"text"', b"null", b"1", b"true", b"{}"])
def test_a_body_of_another_shape_is_invalid(refused, body):
    assert refused(422, body) == "VALIDATION_ERROR"
    assert refused(422, body, path="/auth/login") == "VALIDATION_ERROR"


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"1"])
def test_settings_are_an_object(refused, body):
    assert refused(422, body, path="/users/me/settings", method="PUT") == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json-patch+json",
        "json",
        "",
        ";",
    ],
)
def test_a_body_must_say_that_it_is_json(refused, content_type):
    assert refused(415, headers={"Content-Type": content_type}) == "UNSUPPORTED_MEDIA_TYPE"


def test_a_body_without_content_type_is_unsupported(refused):
    assert refused(415, headers={}) == "UNSUPPORTED_MEDIA_TYPE"


def test_an_oversized_body_is_refused_by_its_length(refused):
    assert refused(413, b" " * (1024 * 1024) + GOOD) == "BODY_TOO_LARGE"


def test_an_oversized_body_is_refused_when_it_comes_in_chunks(refused):
    stream = {"wsgi.input": BytesIO(b" " * (1024 * 1024) + GOOD), "wsgi.input_terminated": True}
    chunked = {**JSON, "Transfer-Encoding": "chunked"}
    assert refused(413, None, headers=chunked, environ_overrides=stream) == "BODY_TOO_LARGE"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/products", {"name": "Forge", "code": "forge", "id": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}),
        ("/products", {"name": "Forge", "code": "forge", "metadata": []}),
        ("/products", {"name": "Forge", "code": "forge", "metadata": {"a": 2**64}}),
        ("/products", {"name": "Forge", "code": "forge", "metadata": {"a": [-(2**63) - 1]}}),
        ("/products", {"name": "Forge", "code": "forge", "metadata": {"a": "x" * 17_000}}),
        ("/products", {"name": "Forge", "code": "forge", "metadata": {"a": [[[[[[[[1]]]]]]]]}}),
        ("/products", {"name": ["Forge"], "code": "forge"}),
        ("/products", {"name": None, "code": "forge"}),
        ("/products", {"name": "x" * 101, "code": "forge"}),
        ("/products", {"name": "Forge", "code": "forge\n"}),
        ("/policies", {"max_machines": "5"}),
        ("/policies", {"max_machines": 1.0}),
        ("/policies", {"max_machines": 1.5}),
        ("/policies", {"max_machines": True}),
        ("/policies", {"max_machines": 10**300}),
        ("/policies", {"floating": "true"}),
        ("/policies", {"floating": 1}),
        ("/policies", {"product_id": 1}),
        ("/policies", {"product_id": {"a": "b"}}),
        ("/policies", {"entitlements": "cloud-sync"}),
        ("/policies", {"entitlements": [{}]}),
        ("/policies", {"entitlements": ["a"] * 101}),
        ("/licenses", {"expires_at": "9999-12-31T23:59:59-14:00"}),
        ("/licenses", {"expires_at": "9999-12-31T23:59:59Z"}),
        ("/licenses", {"expires_at": "0001-01-01T00:00:00+14:00"}),
        ("/licenses", {"expires_at": "2027-01-01T00:00:00"}),
        ("/licenses", {"expires_at": "2027-01-01"}),
        ("/licenses", {"expires_at": "2027-13-01T00:00:00Z"}),
        ("/licenses", {"expires_at": 1_800_000_000}),
        ("/licenses", {"email": "a" * 50_000 + "@example.com"}),
        ("/users", {"email": "@" * 50_000}),
        ("/users", {"email": 'a"b@example.com\r\nBcc: x@example.com'}),
        ("/users", {"email": ["a@example.com"]}),
        ("/users", {"email": "ada@example.com", "role": "owner"}),
        ("/users", {"email": "ada@example.com", "role": []}),
    ],
)
def test_a_value_that_does_not_fit_is_invalid(refused, api, path, body):
    if path == "/policies":
        body = {"product_id": str(api.product()), "name": "pro", "max_machines": 1} | body
    if path == "/licenses":
        body = {"policy_id": str(api.policy())} | body
    assert refused(422, json.dumps(body).encode(), path=path) == "VALIDATION_ERROR"


@pytest.mark.parametrize("path", ["/products", "/users", "/licenses", "/audit/events", "/auth/sessions"])
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=٣",
        "limit=1e1",
        "limit=" + "9" * 5000,
        "page=0",
        "page=-1",
        "page=%2B1",
        "page=1000000000000000000",
        "page=501&limit=20",
        "sort=nothing",
        "sort=",
        "sort=--created_at",
        "sort=created_at,created_at",
        "sort=created_at,-created_at",
        "sort=created_at;id",
        "cursor=nonsense",
        "cursor=",
        "cursor=ünïcode",
        "cursor=" + "A" * 40,
        "nothing=1",
        "created_at_gt=yesterday",
        "created_at_gt=2026-01-01T00:00:00",
        "created_at_lt=9999-12-31T23:59:59-14:00",
        "created_at_in=2026-01-01T00:00:00Z,soon",
        "created_at_contains=2026",
        "created_at__gt=2026-01-01T00:00:00Z",
        "password_hash=x",
    ],
)
def test_a_list_refuses_what_it_does_not_know(refused, path, query):
    assert refused(422, None, path=f"{path}?{query}", method="GET", headers={}) == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    "path",
    [
        "/users?email=%00",
        "/users?email=a%00b",
        "/users?%00=1",
        "/audit/events?action_in=a,%00",
        "/audit/events?request_id_ne=%00",
    ],
)
def test_a_nul_in_the_query_is_refused(refused, path):
    assert refused(400, None, path=path, method="GET", headers={}) == "MALFORMED_REQUEST"


@pytest.mark.parametrize("query", ["user_id=1", "user_id_in=x", "status=gone", "status_in=active,gone"])
def test_a_filter_of_the_wrong_kind_is_refused(refused, query):
    assert refused(422, None, path=f"/licenses?{query}", method="GET", headers={}) == "VALIDATION_ERROR"


@pytest.mark.parametrize("query", ["action=%ff", "action=%ed%a0%80", "action_in=%ff,b", "request_id=%80"])
def test_bytes_in_a_query_that_are_not_text_do_no_harm(api, query):
    assert api.get(f"/audit/events?{query}", by=api.admin()).json["data"] == []


@pytest.mark.parametrize(
    "id_",
    [
        "1",
        "%00",
        "me%00",
        "0199f0a0-7c1e-7a54-8d3f",
        "{0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d}",
        "%ff",
        "x" * 9000,
    ],
)
def test_a_path_that_holds_no_id_is_not_found(refused, id_):
    assert refused(404, None, path=f"/users/{id_}", method="GET", headers={}) == "NOT_FOUND"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ü", "a\tb"])
def test_an_idempotency_key_of_a_strange_form_is_refused(refused, key):
    assert refused(422, headers={**JSON, "Idempotency-Key": key}) == "VALIDATION_ERROR"


def test_the_same_requests_without_the_fault_are_taken(api):
    admin = api.admin()
    assert api.client.post(f"{V1}/products", data=GOOD, headers={**JSON, **admin.headers}).status_code == 201
    parametrised = {"Content-Type": "application/json; charset=utf-8", **admin.headers}
    limits = {"a": [2**64 - 1, -(2**63), 1.5e300, "\U0001f600", {"b": {"c": {"d": [[[1]]]}}}]}
    body = json.dumps({"name": "Löwe", "code": "l", "metadata": limits})
    made = api.client.post(f"{V1}/products", data=body, headers=parametrised)
    assert made.status_code == 201
    shown = api.get(f"/products/{made.json['data']['id']}", by=admin)
    assert shown.json["data"]["metadata"] == limits
    latest = {"policy_id": str(api.policy()), "expires_at": "9990-12-31T23:59:59+00:00"}
    assert api.post("/licenses", latest, by=admin).status_code == 201
