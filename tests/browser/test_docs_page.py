"""Swagger UI as a person uses it, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import chromium
from tests.factories import PASSWORD

pytestmark = chromium.NEEDED


browser = pytest.fixture(scope="module")(chromium.launched)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The documentation page; afterwards: nothing was asked of others, nothing was blocked or failed."""
    page = browser.new_page()
    troubles: list[str] = []
    page.on("request", lambda request: _note(troubles, request.url, address))
    page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(f"{address}/docs")
    yield page
    page.close()
    assert troubles == []


def _note(troubles: list[str], url: str, address: str) -> None:
    if not url.startswith((address, "data:", "blob:")):
        troubles.append(f"asked {url}")


def test_an_operation_is_tried_out_in_the_page_with_a_token(api, page):
    person = api.person(email="ada@example.com")
    page.get_by_role("button", name="Authorize").first.click()
    bearer = page.locator("form").filter(has=page.get_by_label("auth-bearer-value"))
    bearer.get_by_label("auth-bearer-value").fill(person.access_token)
    bearer.locator(".auth-btn-wrapper .authorize").click()
    page.locator(".auth-btn-wrapper .btn-done").first.click()
    page.locator("#operations-tag-auth").click()
    operation = page.locator("#operations-auth-get_me")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response").first
    expect(answer).to_contain_text("200")
    expect(answer).to_contain_text("ada@example.com")


def test_signing_in_works_from_the_page(api, page):
    person = api.person()
    page.locator("#operations-tag-auth").click()
    operation = page.locator("#operations-auth-post_login")
    operation.locator(".opblock-summary-control").click()
    body = operation.locator("textarea.body-param__text")
    body.fill(f'{{"email": "{person.email}", "password": "{PASSWORD}"}}')
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response").first
    expect(answer).to_contain_text("access_token")
