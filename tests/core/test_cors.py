import pytest

from tests.factories import code_of

SITE, TOOL, LOCAL = "https://site.example.com", "vscode-file://vscode-app", "http://[::1]:3000"
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture
def open_api(make_api):
    return make_api(DEVFORGE_CORS_ORIGINS=f"{SITE},{TOOL},{LOCAL}", LIMIT_ANONYMOUS=2)


def preflight(api, origin, **headers):
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    return api.call("OPTIONS", "/licenses/validate", headers={"Origin": origin, **wanted, **headers})


@pytest.mark.parametrize("origin", [SITE, TOOL, LOCAL])
def test_a_listed_origin_may_call(open_api, origin):
    asked = preflight(open_api, origin)
    assert asked.status_code == 200
    assert asked.headers[ALLOWED] == origin
    assert asked.headers["Access-Control-Allow-Headers"] == "authorization"
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    answer = open_api.post("/licenses/validate", {"key": "any"}, headers={"Origin": origin})
    assert answer.headers[ALLOWED] == origin
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"ETag", "Retry-After", "RateLimit-Remaining"} <= {name.strip() for name in exposed.split(",")}
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://site.example.com.evil.net",
        "https://siteXexample.com",
        "http://site.example.com",
        "https://sub.site.example.com",
        "http://1:3000",
        "http://:3000.evil.net",
        "null",
        "",
    ],
)
def test_any_other_origin_may_not(open_api, origin):
    assert ALLOWED not in preflight(open_api, origin).headers
    assert ALLOWED not in open_api.get("/auth/me", headers={"Origin": origin}).headers
    assert ALLOWED not in open_api.get("/auth/me").headers


def test_caches_are_told_that_the_origin_matters(open_api):
    for headers in ({}, {"Origin": SITE}, {"Origin": "https://evil.net"}):
        assert "origin" in open_api.get("/auth/me", headers=headers).headers["Vary"].lower()


def test_refusals_can_be_read_by_a_listed_origin(open_api):
    assert open_api.get("/auth/me", headers={"Origin": SITE}).headers[ALLOWED] == SITE
    assert open_api.get("/nowhere", headers={"Origin": SITE}).headers[ALLOWED] == SITE


def test_a_preflight_is_not_charged(open_api):
    for _ in range(5):
        assert preflight(open_api, SITE).status_code == 200
    codes = [open_api.post("/licenses/validate", {"key": "any"}).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    limited = open_api.post("/licenses/validate", {"key": "any"}, headers={"Origin": SITE})
    assert code_of(limited) == "RATE_LIMITED"
    assert limited.headers[ALLOWED] == SITE


def test_without_origins_no_site_may_call(api):
    assert ALLOWED not in preflight(api, SITE).headers


def test_only_the_api_can_be_called_from_other_sites(open_api):
    assert ALLOWED not in open_api.client.get("/health", headers={"Origin": SITE}).headers
