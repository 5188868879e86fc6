"""The pages that letters lead to, as their readers use them, in a real browser on a phone."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import chromium
from tests.factories import PASSWORD

PHONE: Any = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
NEW = "staple orbit lantern"
ADA = "ada@example.com"

pytestmark = chromium.NEEDED


browser = pytest.fixture(scope="module")(chromium.launched)


@pytest.fixture
def open_page(browser: Browser, app, address):
    """Open a letter's link on a phone; afterwards: no token was in any request's address."""
    opened: list[tuple[Page, list[str]]] = []

    def go(link: str, locale: str = "en-GB") -> Page:
        page = browser.new_context(locale=locale, **PHONE).new_page()
        asked: list[str] = []
        troubles: list[str] = []
        page.on("request", lambda request: asked.append(request.url.partition("#")[0]))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda line: _note(troubles, line))
        opened.append((page, troubles))
        page.goto(link.replace(app.config["PUBLIC_URL"], address))
        assert all(url.startswith((address, "data:")) for url in asked)
        assert not [url for url in asked if "token" in url]
        return page

    yield go
    for page, troubles in opened:
        page.context.close()
        assert troubles == []


def _note(troubles: list[str], line) -> None:
    # The browser itself notes every refusal of the API.
    if line.type == "error" and "Failed to load resource" not in line.text:
        troubles.append(line.text)


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def register(api):
    return api.post("/auth/register", {"email": ADA, "password": PASSWORD}).json["data"]


def test_an_address_is_confirmed_by_a_button_and_not_by_opening(api, mailbox, open_page):
    owner = {"Authorization": f"Bearer {register(api)['access_token']}"}
    link = mailbox.last(ADA).link
    page = open_page(link)
    expect(page.get_by_role("button", name="Confirm")).to_be_visible()
    assert fits(page)
    assert api.get("/auth/me", headers=owner).json["data"]["email_verified"] is False
    page.get_by_role("button", name="Confirm").tap()
    expect(page.get_by_role("status")).to_contain_text("Your address is confirmed")
    expect(page.get_by_role("button")).to_be_hidden()
    assert page.url.endswith("/account/verify")
    assert api.get("/auth/me", headers=owner).json["data"]["email_verified"] is True
    again = open_page(link)
    again.get_by_role("button").tap()
    expect(again.get_by_role("alert")).to_contain_text("was used already")


def test_a_new_password_is_set_in_german_and_a_weak_one_is_explained(api, mailbox, open_page):
    api.person(email=ADA)
    api.post("/auth/password/forgot", {"email": ADA})
    page = open_page(mailbox.last(ADA).link, "de-AT")
    assert page.locator("html").get_attribute("lang") == "de"
    field = page.get_by_label("Neues Passwort")
    field.fill("password")
    page.get_by_role("button", name="Passwort setzen").tap()
    expect(page.get_by_role("alert")).to_contain_text("zu den häufigsten")
    expect(field).to_be_focused()
    page.get_by_label("Passwort anzeigen").check()
    expect(field).to_have_attribute("type", "text")
    field.fill(NEW)
    field.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Ihr Passwort ist gesetzt")
    assert fits(page)
    for password, status in ((NEW, 200), (PASSWORD, 401)):
        assert api.post("/auth/login", {"email": ADA, "password": password}).status_code == status


def test_a_link_that_lost_its_token_says_so(open_page, address):
    page = open_page(f"{address}/account/reset")
    expect(page.get_by_role("alert")).to_contain_text("not complete")
    expect(page.get_by_role("button")).to_be_hidden()


def test_without_a_connection_the_page_says_so_and_can_be_tried_again(api, mailbox, open_page):
    register(api)
    page = open_page(mailbox.last(ADA).link)
    page.context.set_offline(True)
    page.get_by_role("button", name="Confirm").tap()
    expect(page.get_by_role("alert")).to_contain_text("was not reached")
    page.context.set_offline(False)
    page.get_by_role("button", name="Confirm").tap()
    expect(page.get_by_role("status")).to_be_visible()
