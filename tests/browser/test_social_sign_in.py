"""Sign-in by a provider from a website, in a real browser, by the code that the docs print."""

import re
import warnings
from pathlib import Path

import pytest
from playwright.sync_api import expect

from config.providers import ProviderSettings
from devforge_api.app import create_app
from devforge_api.core.db import db
from tests import chromium
from tests.auth.social.peers import served

DOCS = Path(__file__).resolve().parents[2] / "docs" / "social-sign-in.md"
PAGE = """<!doctype html><html lang="en"><title>Website</title><ul></ul><p></p><script>
SCRIPT
const say = (text) => { document.querySelector("p").textContent = text; };
if (location.hash) signedIn().then((data) => say(`Hello ${data.user.name}`), (error) => say(error.message));
else fetch("https://api.example.com/api/v1/auth/oauth/providers").then(async (answer) => {
  for (const provider of (await answer.json()).data) {
    const button = document.createElement("button");
    button.textContent = `Sign in with ${provider.label}`;
    button.onclick = () => signIn(provider);
    document.querySelector("ul").append(button);
  }
});
</script></html>"""

pytestmark = [
    *chromium.NEEDED,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the mock signs by Authlib's older module
]


browser = pytest.fixture(scope="module")(chromium.launched)


@pytest.fixture
def provider():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import oidc_provider_mock
    claims = {"email": "ada@example.com", "email_verified": True, "name": "Ada Lovelace"}
    ada = oidc_provider_mock.User(sub="ada", claims=claims)
    with oidc_provider_mock.run_server_in_thread(user_claims=[ada]) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def website(app, environ, provider):
    """A website on another origin than the server's; its pages are the documentation's."""
    (script,) = re.findall(r"```js\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    made = {}

    def server(environ_, start_response):
        return made["app"](environ_, start_response)

    def site(_environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        page = PAGE.replace("SCRIPT", script)
        page = page.replace("https://example.com", home).replace("https://api.example.com", address)
        return [page.encode()]

    with served(server) as address, served(site) as home:
        settings = ProviderSettings("acme", "oidc", "Acme", provider, "dev-forge", client_secret="secret")
        made["app"] = create_app(
            environ,
            PUBLIC_URL=address,
            CORS_ORIGINS=(home,),
            IDENTITY_PROVIDERS={"acme": settings},
            SIGN_IN_REDIRECTS=(f"{home}/signed-in",),
        )
        yield home
    with made["app"].app_context():
        db.engine.dispose()


@pytest.fixture
def page(browser, website):
    page = browser.new_context().new_page()
    page.goto(website)
    page.get_by_role("button", name="Sign in with Acme").click()
    yield page
    page.context.close()


def test_a_person_signs_in_on_the_website_by_the_provider_s_page(page, website):
    page.get_by_role("button", name="ada", exact=True).click()
    expect(page.locator("p")).to_have_text("Hello Ada Lovelace")
    assert page.url == f"{website}/signed-in"  # the code has left the address
    cookies = [
        (one["name"], one["secure"], one["httpOnly"], one["sameSite"]) for one in page.context.cookies()
    ]
    assert ("__Host-devforge-provider", True, True, "Lax") in cookies  # though this is plain http


def test_a_code_led_into_another_browser_signs_nobody_in_there(page, website):
    """Login CSRF: the page has no verifier for what it did not begin."""
    page.route("**/auth/oauth/exchange", lambda route: route.abort())
    with page.expect_request("**/auth/oauth/exchange") as sent:
        page.get_by_role("button", name="ada", exact=True).click()
    code = sent.value.post_data_json["code"]
    victim = page.context.browser.new_page()
    victim.goto(website)
    with victim.expect_response("**/auth/oauth/exchange") as answered:
        victim.goto(f"{website}/signed-in#code={code}")
    assert answered.value.status in {410, 422}
