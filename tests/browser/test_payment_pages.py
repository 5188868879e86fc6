"""Paying on the built-in provider's page in a real browser, and the way back."""

import pytest
from playwright.sync_api import expect

from devforge_api.billing.models import OrderStatus
from tests import chromium
from tests.billing.shop import Shop

pytestmark = chromium.NEEDED

browser = pytest.fixture(scope="module")(chromium.launched)


@pytest.fixture
def page(browser):
    """A phone; afterwards: nothing was refused by a page's policy."""
    page = browser.new_context(viewport={"width": 360, "height": 640}, locale="de-DE").new_page()
    troubles = []
    page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    yield page
    page.context.close()
    assert troubles == []


def test_a_payer_approves_and_comes_back_to_a_button_for_the_app(api, app, address, page, monkeypatch):
    monkeypatch.setitem(app.config, "BILLING_RETURN_URLS", ("devforge:",))
    monkeypatch.setitem(app.config, "PUBLIC_URL", address)
    shop = Shop(api)
    provider = app.extensions["devforge-payment-providers"]["test"]
    monkeypatch.setattr(provider, "_public_url", address)
    made = shop.checkout(api.person(), shop.price(), success_url="devforge://orders/{order_id}")
    page.goto(made["checkout_url"])
    expect(page.get_by_role("heading")).to_have_text("59.00 USD zahlen?")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Zustimmen").click()
    expect(page.get_by_role("heading")).to_have_text("Vielen Dank!")
    button = page.get_by_role("link", name="Zurück zur App")
    assert button.get_attribute("href") == f"devforge://orders/{made['order_id']}"
    assert shop.status(made) is OrderStatus.PAID


def test_a_form_s_answer_leads_to_an_allowed_website(api, app, address, page, monkeypatch):
    # Another origin of the same server: what the page's policy has to let through.
    elsewhere = address.replace("127.0.0.1", "localhost")
    monkeypatch.setitem(app.config, "BILLING_RETURN_URLS", (elsewhere,))
    provider = app.extensions["devforge-payment-providers"]["test"]
    monkeypatch.setattr(provider, "_public_url", address)
    monkeypatch.setitem(app.config, "PUBLIC_URL", address)
    shop = Shop(api)
    made = shop.checkout(api.person(), shop.price(), cancel_url=f"{elsewhere}/billing/back")
    page.goto(made["checkout_url"])
    page.get_by_role("button", name="Ablehnen").click()
    expect(page.get_by_role("heading")).to_have_text("Fertig")
    assert page.url == f"{elsewhere}/billing/back"
    assert shop.status(made) is OrderStatus.FAILED
