"""Figures for Prometheus: by route, never by path, and not for everybody."""

import pytest

from devforge_api.app import create_app
from tests.factories import code_of


@pytest.fixture
def with_token(environ, app):
    return create_app({**environ, "DEVFORGE_METRICS_TOKEN": "a-token-for-figures"}).test_client()


def figure(text, name, **labels):
    """The value of one line of the exposition; 0 where it is not there."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    for line in text.splitlines():
        if line.startswith(name + "{") and all(label in line for label in wanted):
            return float(line.split()[-1])
    return 0.0


def test_requests_are_counted_by_route_and_status(api, client):
    route = "/api/v1/licenses/<uuid:license_id>"
    name = "devforge_http_requests_total"
    before = figure(client.get("/metrics").text, name, method="GET", route=route, status="200")
    license_, admin = api.license(), api.admin()
    for _ in range(3):
        api.get(f"/licenses/{license_.id}", by=admin)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    assert answer.headers["Cache-Control"] == "no-store"
    assert figure(answer.text, name, method="GET", route=route, status="200") == before + 3
    assert figure(answer.text, "devforge_http_request_duration_seconds_count", method="GET", route=route) >= 3


def test_no_path_that_a_client_invents_makes_a_series(api, client):
    for path in ("/api/v1/invented-1", "/invented-2?x=1", "/api/v1/licenses/not-a-uuid"):
        client.get(path)
    text = client.get("/metrics").text
    assert "invented" not in text
    assert "not-a-uuid" not in text
    assert 'route="(unknown)"' in text


def test_a_method_that_a_client_invents_makes_no_series(client):
    client.open("/health", method="INVENTED")
    assert "INVENTED" not in client.get("/metrics").text


def test_the_token_is_asked_for_where_one_is_set(with_token):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "a-token-for-figures"}):
        refused = with_token.get("/metrics", headers=headers)
        assert (refused.status_code, code_of(refused)) == (401, "METRICS_TOKEN_MISSING")
        assert refused.headers["WWW-Authenticate"] == 'Bearer realm="metrics"'
    headers = {"Authorization": "Bearer a-token-for-figures"}
    assert with_token.get("/metrics", headers=headers).status_code == 200


def test_without_a_token_nothing_is_served_where_https_is_required(environ, app):
    strict = create_app(environ)
    strict.config["REQUIRE_HTTPS"] = True
    assert strict.test_client().get("/metrics").status_code == 404
