"""A hot route's two ways, in front of Flask and through it, are one: each request is sent both ways."""

import gzip
import logging
import re
from contextlib import contextmanager
from datetime import timedelta
from functools import reduce, wraps
from unittest.mock import patch

import pytest
from sqlalchemy.exc import OperationalError

from devforge_api.app import create_app
from devforge_api.auth.tokens import make_access_token
from devforge_api.core import gateway, hot, metrics
from devforge_api.core.api import Blueprint
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work, uuid7
from devforge_api.core.security import public
from devforge_api.licenses import queries
from devforge_api.licenses.schemas import ValidateSchema, VerdictSchema
from devforge_api.licenses.service import lifecycle
from tests.factories import Api, code_of

V, R = "/api/v1/licenses/validate", "/api/v1/auth/me"
JSON = {"content_type": "application/json"}
BIG = {"note": "x" * 3000}
# What differs between any two answers: the moment, and the request's id where none was given.
MOMENT = re.compile(rb'"ts":"[^"]+"')
ID = "the-same-request"


@pytest.fixture(scope="module")
def through_flask(shared_app):
    """The same application, without hot routes."""
    app = create_app(shared_app.extensions["test-environ"], HOT_ROUTES=False)
    assert not isinstance(app.wsgi_app, hot.HotRoutes)
    yield Api(app)
    with app.app_context():
        db.engine.dispose()


class Seen:
    """What an application made of a request."""

    def __init__(self):
        self.log, self.metrics, self.in_front = [], [], True

    @contextmanager
    def of(self, app):
        handler = logging.Handler()
        handler.emit = lambda record: self.log.append(
            (record.levelname, record.getMessage(), {**vars(record), **_caller()})
        )
        level = gateway.log.level
        gateway.log.setLevel(logging.INFO)
        kept, ordinary = metrics.observe, getattr(app.wsgi_app, "_ordinary", None)

        def pass_on(environ, start_response):
            self.in_front = False
            return ordinary(environ, start_response)

        def observe(method, route, status, seconds):
            self.metrics.append((method, route, status))
            kept(method, route, status, seconds)

        gateway.log.addHandler(handler)
        if ordinary:
            app.wsgi_app._ordinary = pass_on
        try:
            with patch.object(metrics, "observe", observe):
                yield
        finally:
            gateway.log.removeHandler(handler)
            gateway.log.setLevel(level)
            if ordinary:
                app.wsgi_app._ordinary = ordinary

    def lines(self):
        names = ("method", "route", "status", "address", "caller")
        return [(level, text, *(fields.get(name) for name in names)) for level, text, fields in self.log]


def _caller():
    now = gateway.occasion()
    caller = now.principal
    return {"caller": (now.request_id, now.user_agent, caller and caller.user_id)}


def headers_of(answer):
    """All of them, in their order; when a window ends, and what compression gains, is left to the moment."""
    varying = {"RateLimit-Reset", "Retry-After"}
    if answer.headers.get("Content-Encoding"):
        varying |= {"Content-Length"}
    return [(name, value) for name, value in answer.headers if name not in varying]


def body_of(answer):
    packed = answer.headers.get("Content-Encoding") == "gzip"
    return MOMENT.sub(b"", gzip.decompress(answer.data) if packed else answer.data)


def used(answer):
    """How often the budget has been charged."""
    return int(answer.headers["RateLimit-Limit"]) - int(answer.headers["RateLimit-Remaining"])


def forget_counts(*apis):
    for each in apis:
        state = each.app.extensions["devforge-limits"]
        state.shared.storage.reset()
        state.local.storage.reset()


@pytest.fixture
def both_ways(api, through_flask):
    """Send a request both ways, and see that nothing tells them apart; the answer, and what was seen."""

    def send(path, *, method="GET", headers=None, apis=(api, through_flask), **request):
        found = []
        for each in apis:
            forget_counts(*apis)
            seen = Seen()
            with seen.of(each.app):
                answer = each.app.test_client().open(
                    path, method=method, headers={"X-Request-ID": ID, **(headers or {})}, **request
                )
            found.append((answer, seen))
        (short, seen), (long, ordinary) = found
        assert short.status == long.status
        assert body_of(short) == body_of(long)
        assert headers_of(short) == headers_of(long)
        assert seen.metrics == ordinary.metrics
        assert seen.lines() == ordinary.lines()
        assert len(seen.metrics) == 1
        return short, seen

    return send


@pytest.fixture
def licenses(api):
    """One licence of every state."""
    owner, policy = api.person(), {"entitlements": [], "max_machines": 2, "strict": False}
    found = {
        "good": api.license(policy=policy),
        "owned": api.license(owner=owner, policy=policy),
        "strict": api.license(policy={**policy, "strict": True}),
        "expired": api.license(policy=policy, expires_at=utc_now() - timedelta(days=1)),
        "big": api.license(policy=policy, metadata=BIG),
        "suspended": api.license(policy=policy),
        "banned": api.license(owner=(banned := api.person()), policy=policy),
    }
    with api.app.app_context(), unit_of_work():
        lifecycle.suspend(queries.get_license(found["suspended"].id, owner_id=None, for_update=True))
    api.ban(banned.id)
    api.post("/licenses/activate", {"key": found["good"].key, "fingerprint": "m1"})
    return found


# --- validating ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scope", "code"),
    [
        ("good", {}, "VALID"),
        ("good", {"fingerprint": "m1"}, "VALID"),
        ("good", {"fingerprint": "m2"}, "FINGERPRINT_SCOPE_MISMATCH"),
        ("good", {"fingerprints": ["m2", "m1"], "nonce": "n-1"}, "VALID"),
        ("good", {"fingerprints": []}, "FINGERPRINT_SCOPE_EMPTY"),
        ("good", {"product": "another"}, "PRODUCT_SCOPE_MISMATCH"),
        ("good", {"user_id": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}, "USER_SCOPE_MISMATCH"),
        ("good", {"entitlements": ["cloud-sync"]}, "ENTITLEMENTS_MISSING"),
        ("owned", {}, "VALID"),
        ("strict", {}, "NO_MACHINES"),
        ("expired", {}, "EXPIRED"),
        ("suspended", {}, "SUSPENDED"),
        ("banned", {}, "BANNED"),
        (None, {"nonce": "ключ"}, "NOT_FOUND"),
    ],
)
def test_every_ordinary_verdict_is_given_in_front_of_flask(both_ways, licenses, name, scope, code):
    key = licenses[name].key if name else "DF-00000-00000-00000-00000-000000"
    answer, seen = both_ways(V, method="POST", json={"key": key, **scope})
    assert (answer.status_code, answer.json["data"]["code"]) == (200, code)
    assert seen.in_front
    assert seen.metrics == [("POST", V, 200)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 422),
        (b"[]", 422),
        (b"{", 400),
        (b'{"key":"a","key":"b"}', 400),
        (b'{"key":"a\\u0000"}', 400),
        (b'{"key":"\xff"}', 400),
        (b'{"key":"a","nonce":NaN}', 400),
        (b'{"key":"a","unknown":1}', 422),
        (b'{"key":5}', 422),
        (b'{"key":"a","fingerprint":"m","fingerprints":["m"]}', 422),
        (b"[" * 100_000, 400),
    ],
)
def test_a_refused_body_is_answered_by_flask_and_counted_once(both_ways, body, status):
    answer, seen = both_ways(V, method="POST", data=body, **JSON)
    assert answer.status_code == status
    assert used(answer) == 1
    assert not seen.in_front


@pytest.mark.parametrize(
    "request_",
    [
        {"query_string": "explain=true"},
        {"query_string": "a=%00"},
        {"content_type": None},
        {"content_type": "text/plain"},
        {"content_type": "application/json; charset=utf-8"},
        {"headers": {"Content-Encoding": "gzip"}},
        {"headers": {"If-None-Match": "*"}},
        {"headers": {"Host": "bad host"}},
        {"headers": {"Host": ""}},
        {"environ_overrides": {"CONTENT_LENGTH": "1000"}},
        {"environ_overrides": {"CONTENT_LENGTH": "-1"}},
        {"environ_overrides": {"CONTENT_LENGTH": "٣"}},
        {"environ_overrides": {"CONTENT_LENGTH": "99999999"}},
        {"environ_overrides": {"HTTP_TRANSFER_ENCODING": "chunked"}},
        {"method": "GET"},
        {"method": "HEAD"},
        {"method": "OPTIONS"},
        {"method": "PUT"},
        {"path": V + "/"},
        {"path": "/" + V},
    ],
    ids=str,
)
def test_what_is_not_plain_is_flasks_from_the_beginning(both_ways, licenses, request_):
    body = b'{"key":"%s"}' % licenses["good"].key.encode()
    given = {"path": V, "method": "POST", "data": body, **JSON, **request_}
    _, seen = both_ways(given.pop("path"), **given)
    assert not seen.in_front


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept-Encoding": "gzip, br"},
        {"Origin": "https://anybody.example.com"},
        {"Idempotency-Key": "one-two-three"},
        {"Authorization": "Bearer nobody-asks-for-it"},
        {"User-Agent": "x" * 1000},
        {"Host": "api.example.com:8000"},
    ],
    ids=str,
)
def test_what_does_not_matter_here_stays_in_front(both_ways, licenses, headers):
    answer, seen = both_ways(V, method="POST", json={"key": licenses["good"].key}, headers=headers)
    assert (answer.status_code, seen.in_front) == (200, True)


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_an_answer_to_compress_is_carried_over_and_neither_counted_nor_asked_again(
    both_ways, count_queries, licenses, encoding
):
    with count_queries() as statements:
        answer, seen = both_ways(
            V, method="POST", json={"key": licenses["big"].key}, headers={"Accept-Encoding": encoding}
        )
    assert (answer.status_code, answer.headers.get("Content-Encoding", "")) == (200, encoding)
    assert used(answer) == 1
    assert not seen.in_front
    assert len([one for one in statements if "FROM licenses" in one]) == 2  # one each way


@pytest.mark.parametrize("given", [ID, "too short", "not*clean*at*all", "x" * 65, ""])
def test_a_request_id_is_taken_or_made_alike(api, given):
    answer = api.post("/licenses/validate", {"key": "any"}, headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is (given == ID)


def test_a_suspension_acts_on_the_next_request(api, both_ways, licenses):
    def code():
        answer, seen = both_ways(V, method="POST", json={"key": licenses["good"].key})
        assert seen.in_front
        return answer.json["data"]["code"]

    admin = api.admin()
    assert code() == "VALID"
    assert api.post(f"/licenses/{licenses['good'].id}/suspend", by=admin).status_code == 200
    assert code() == "SUSPENDED"
    assert api.post(f"/licenses/{licenses['good'].id}/reinstate", by=admin).status_code == 200
    assert code() == "VALID"


# --- who is signed in ---------------------------------------------------------------------------


def test_who_is_signed_in_is_told_in_front_of_flask(api, both_ways):
    ada = api.person(email="ada@example.com")
    answer, seen = both_ways(R, headers=ada.headers | {"User-Agent": "Tests/1"})
    assert (answer.status_code, answer.json["data"]["email"]) == (200, "ada@example.com")
    assert (seen.in_front, seen.metrics) == (True, [("GET", R, 200)])
    assert seen.lines()[0][-1] == (ID, "Tests/1", ada.id)
    again, seen = both_ways(R, headers=ada.headers | {"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, seen.in_front) == (304, False)
    for query in ("fields=email", "fields=nothing", "page=1"):
        assert not both_ways(R, headers=ada.headers, query_string=query)[1].in_front
    for method in ("HEAD", "OPTIONS", "POST", "DELETE"):
        assert not both_ways(R, method=method, headers=ada.headers)[1].in_front


def _token(person, **values):
    given = {"user_id": person.id, "session_id": uuid7(), "token_version": 1, "role": "user"}
    return make_access_token(**{**given, "lifetime": timedelta(minutes=5), **values})


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "TOKEN_MISSING"),
        ("", "TOKEN_MISSING"),
        ("Bearer", "TOKEN_INVALID"),
        ("Basic YTpi", "TOKEN_INVALID"),
        ("Bearer a b", "TOKEN_INVALID"),
        ("Bearer not-a-token", "TOKEN_INVALID"),
        ("Bearer dfp_nobodys", "TOKEN_INVALID"),
    ],
)
def test_a_strange_token_is_refused_by_flask_and_counted_once(both_ways, header, code):
    answer, seen = both_ways(R, headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, code_of(answer)) == (401, code)
    assert used(answer) == 1
    assert (seen.in_front, seen.metrics) == (False, [("GET", R, 401)])


def test_a_denied_token_is_refused_on_the_next_request(api, both_ways):
    ada, eve = api.person(), api.person()
    for person in (ada, eve):
        assert both_ways(R, headers=person.headers)[0].status_code == 200
    assert api.post("/auth/logout", by=ada).status_code == 204
    api.ban(eve.id)
    for person in (ada, eve):
        answer, seen = both_ways(R, headers=person.headers)
        assert (answer.status_code, code_of(answer), seen.in_front) == (401, "TOKEN_REVOKED", False)


def test_expired_and_unknown_sessions_are_told_apart_alike(api, both_ways, context):
    ada = api.person()
    expired, unknown = _token(ada, lifetime=timedelta(seconds=-1)), _token(ada)
    assert code_of(both_ways(R, headers={"Authorization": f"Bearer {expired}"})[0]) == "TOKEN_EXPIRED"
    assert code_of(both_ways(R, headers={"Authorization": f"Bearer {unknown}"})[0]) == "TOKEN_REVOKED"


@pytest.mark.parametrize(("scope", "status"), [("profile:read", 200), ("licenses:read", 403)])
def test_a_tools_token_needs_the_scope_either_way(api, both_ways, scope, status):
    ada = api.reauthenticated(api.person())
    made = api.post("/auth/tokens", {"name": "Tool", "scopes": [scope]}, by=ada).json["data"]
    answer, seen = both_ways(R, headers={"Authorization": f"bearer {made['token']}"})
    assert (answer.status_code, seen.in_front) == (status, status == 200)
    assert used(answer) == 1


# --- budgets, settings, trouble -----------------------------------------------------------------


def test_each_request_is_counted_once_until_the_budget_is_used_up(api, make_api):
    few = make_api(LIMIT_ANONYMOUS=3, LIMIT_USER=3)
    ada = few.person()
    for ask in (lambda: few.post("/licenses/validate", {"key": "any"}), lambda: few.get("/auth/me", by=ada)):
        answers = [ask() for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        left = [answer.headers["RateLimit-Remaining"] for answer in answers]
        assert left == ["2", "1", "0", "0", "0"]
        assert int(answers[-1].headers["Retry-After"]) >= 1


@pytest.mark.parametrize("origin", [None, "https://site.example.com", "https://evil.example.com"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_settings_of_the_whole_application_hold_either_way(both_ways, make_api, licenses, origin, scheme):
    settings = {
        "DEVFORGE_CORS_ORIGINS": "https://site.example.com",
        "DEVFORGE_TRUSTED_PROXIES": "0",
        "REQUIRE_HTTPS": True,
    }
    apis = [make_api(**settings, HOT_ROUTES=switch) for switch in (True, False)]
    request = {"headers": {"Origin": origin} if origin else {}, "base_url": f"{scheme}://api.example.com"}
    body = {"key": licenses["good"].key}
    answer, seen = both_ways(V, method="POST", json=body, apis=apis, **request)
    assert answer.status_code == (200 if scheme == "https" else 403), answer.json
    assert seen.in_front is (scheme == "https" and origin is None)


@pytest.mark.parametrize("hops", ["0", "1"])
def test_the_address_behind_a_proxy_is_the_one_that_is_counted(make_api, hops):
    behind = make_api(DEVFORGE_TRUSTED_PROXIES=hops, LIMIT_ANONYMOUS=10)
    ask = ("/licenses/validate", {"key": "any"})
    left = [
        int(behind.post(*ask, headers={"X-Forwarded-For": to}).headers["RateLimit-Remaining"])
        for to in ("203.0.113.1", "203.0.113.2", "203.0.113.1")
    ]
    assert left == ([9, 9, 8] if hops == "1" else [9, 8, 7])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("select", {}, Exception("gone")), "SERVICE_UNAVAILABLE"),
        (ZeroDivisionError("the secret formula"), "INTERNAL_ERROR"),
    ],
    ids=["database", "mistake"],
)
def test_what_fails_is_asked_once_and_answered_by_flask(both_ways, licenses, error, code):
    with patch("devforge_api.licenses.service.validation.find_facts", side_effect=error) as asked:
        answer, seen = both_ways(V, method="POST", json={"key": licenses["good"].key})
    assert (code_of(answer), seen.in_front) == (code, False)
    assert used(answer) == 1
    assert asked.call_count == 2  # once each way
    assert "formula" not in answer.get_data(as_text=True)


# --- declaring ----------------------------------------------------------------------------------


def test_these_routes_are_hot(app):
    assert {(route.method, route.rule) for route in hot.routes_of(app)} == {("POST", V), ("GET", R)}


def test_hooks_of_flask_that_a_hot_route_would_not_run_are_known(app):
    """Whoever adds one has to say how it is with hot routes, and then adds it here."""
    hooks = [app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs]
    names = {function.__name__ for kind in hooks for each in kind.values() for function in each}
    assert names == {"_open", "_close", "set_docs_policy"}


def stranger(view):
    @wraps(view)
    def around(*args):
        return view(*args)

    return around


@pytest.mark.parametrize("place", [None, 0, 1, 2, 3])
def test_a_decorator_that_would_be_left_out_is_found_at_start(place):
    blp = Blueprint("tests", __name__)
    layers = [hot.hot, blp.response(200, VerdictSchema), blp.arguments(ValidateSchema), public()]
    if place is not None:
        layers.insert(place + 1, stranger)
    view = reduce(lambda inner, layer: layer(inner), layers, lambda self, data: None)
    assert hot.is_complete(view.hot, view) is (place is None)
