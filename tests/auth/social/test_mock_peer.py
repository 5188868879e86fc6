"""The whole way with somebody else's OpenID provider (which checks no PKCE; see tests/clients)."""

import warnings
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from config.providers import ProviderSettings
from tests.auth.social.conftest import NEXT
from tests.auth.social.peers import Browser, fragment, refused, s256
from tests.factories import Api

VERIFIER = "a-verifier-that-only-this-client-knows-0123456789"
# The mock signs by Authlib's older module.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def mock():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import oidc_provider_mock
    ada = oidc_provider_mock.User(
        sub="ada", claims={"email": "ada@example.com", "email_verified": True, "name": "Ada Lovelace"}
    )
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=[ada]) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def app_with_mock(social_with, mock):
    settings = ProviderSettings("mock", "oidc", "Mock", mock, "dev-forge", client_secret="secret")
    return social_with(IDENTITY_PROVIDERS={"mock": settings})


def decide(location, **form):
    """What a person does at the mock's page; what the browser brings back."""
    assert "<form" in requests.get(location, timeout=10).text
    answer = requests.post(location, data=form, allow_redirects=False, timeout=10)
    target = urlsplit(answer.headers["Location"])
    assert target.path == "/api/v1/auth/oauth/mock/callback"
    return dict(parse_qsl(target.query))


def test_the_mock_s_user_signs_in(app_with_mock):
    browser = Browser(app_with_mock)
    answer = browser.back(decide(browser.location("mock"), sub="ada"), "mock")
    user = answer.json["data"]["user"]
    assert (user["email"], user["email_verified"], user["name"]) == ("ada@example.com", True, "Ada Lovelace")


def test_a_client_takes_the_mock_s_user_over(app_with_mock):
    browser = Browser(app_with_mock)
    location = browser.location("mock", next=NEXT, code_challenge=s256(VERIFIER))
    code = fragment(browser.back(decide(location, sub="ada"), "mock"))["code"]
    answer = Api(app_with_mock).post("/auth/oauth/exchange", {"code": code, "code_verifier": VERIFIER})
    assert answer.json["data"]["user"]["email"] == "ada@example.com"


def test_denying_at_the_mock_is_told(app_with_mock):
    browser = Browser(app_with_mock)
    location = browser.location("mock")
    brought = {"state": dict(parse_qsl(urlsplit(location).query))["state"], **decide(location, action="deny")}
    refused(browser.back(brought, "mock"), "PROVIDER_DENIED")


def test_a_code_of_the_mock_for_another_sign_in_is_refused_by_its_nonce(app_with_mock):
    mine, victim = Browser(app_with_mock), Browser(app_with_mock)
    stolen = decide(victim.location("mock"), sub="ada")["code"]  # the mock minds no wrong verifier
    brought = decide(mine.location("mock"), sub="evil")
    refused(mine.back({**brought, "code": stolen}, "mock"))
