from functools import reduce, wraps
from unittest.mock import patch

import pytest
from sqlalchemy.exc import OperationalError

from devforge_api.core import hot
from devforge_api.core.api import Blueprint
from devforge_api.core.security import public
from devforge_api.licenses.schemas.client import ValidateSchema, VerdictSchema
from tests.core.hot.ways import R, V, used
from tests.factories import code_of


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
