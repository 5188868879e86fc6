"""Every answer that shows a secret, found by walking the document."""

import pyotp
import pytest

from tests.factories import PASSWORD, V1

SECRETS = {
    "access_token", "refresh_token", "device_token", "challenge_token", "token", "secret", "otpauth_uri",
    "recovery_codes",
}  # fmt: skip
# Asked of a provider's peer, with the same demands, in tests/auth/social.
ELSEWHERE = {
    "GET /auth/oauth/{provider}/callback",
    "POST /auth/oauth/{provider}/callback",
    "POST /auth/oauth/exchange",
}


def properties(document, node):
    """The names at every depth of an answer's schema."""
    if isinstance(node, list):
        return set().union(*(properties(document, one) for one in node))
    if not isinstance(node, dict):
        return set()
    if "$ref" in node:
        return properties(document, document["components"]["schemas"][node["$ref"].rpartition("/")[2]])
    return set(node.get("properties", {})) | properties(document, list(node.values()))


@pytest.fixture
def showing(client):
    """The operations of auth whose answers show a secret."""
    document = client.get(f"{V1}/openapi.json").json
    found = set()
    for path, item in document["paths"].items():
        for method in item.keys() & {"get", "post", "put", "patch"}:
            answers = [value for status, value in item[method]["responses"].items() if status[0] == "2"]
            if path.startswith(f"{V1}/auth/") and SECRETS & properties(document, answers):
                found.add(f"{method.upper()} {path.removeprefix(V1)}")
    return found


def test_no_answer_that_shows_a_secret_is_compressed_or_kept(calls_with, authenticator, showing):
    api = calls_with(COMPRESS_MIN_SIZE=1).api
    packed = {"Accept-Encoding": "gzip, br"}
    person = api.reauthenticated(api.person())
    assert (
        "Content-Encoding" in api.get("/auth/me", by=person, headers=packed).headers
    )  # or this proves nothing

    def post(path, body=None, by=None):
        return api.post(path, body, by=by, headers=packed)

    app, other = authenticator(person), api.person()
    enrolled = post("/auth/mfa/totp", by=other)
    first_code = pyotp.TOTP(enrolled.json["data"]["secret"]).now()
    tool = {"name": "Tool", "scopes": ["profile:read"]}
    account = api.post("/auth/service-accounts", tool, by=person).json["data"]["id"]
    verify = {"challenge_token": app.challenge(), "code": app.code()}
    answers = {
        "POST /auth/register": post("/auth/register", {"email": "a@x.org", "password": PASSWORD}),
        "POST /auth/login": post("/auth/login", {"email": person.email, "password": PASSWORD}),
        "POST /auth/refresh": post("/auth/refresh", {"refresh_token": person.refresh_token}),
        "POST /auth/mfa/totp": enrolled,
        "POST /auth/mfa/totp/confirm": post("/auth/mfa/totp/confirm", {"code": first_code}, other),
        "POST /auth/mfa/verify": post("/auth/mfa/verify", verify),
        "POST /auth/mfa/recovery-codes": post("/auth/mfa/recovery-codes", by=person),
        "POST /auth/tokens": post("/auth/tokens", tool, person),
        "POST /auth/service-accounts/{service_account_id}/tokens": post(
            f"/auth/service-accounts/{account}/tokens", {"name": "Runner"}, person
        ),
    }
    assert showing == answers.keys() | ELSEWHERE
    for name, answer in answers.items():
        assert answer.status_code in {200, 201}, f"{name}: {answer.json}"
        assert answer.headers["Cache-Control"] == "no-store", name
        assert "Content-Encoding" not in answer.headers, name
