"""Browsers of people, and a push service: what tests of Web Push begin with."""

from __future__ import annotations

from typing import Any

from tests.factories import Api, Person
from tests.factories.notifications import Browser

PATH = "/notifications/push-subscriptions"


def subscribe(api: Api, person: Person, endpoint: str) -> tuple[Browser, str]:
    """A browser of a person's, as it subscribes: with the server's key."""
    assert api.get("/notifications/push-key", by=person).status_code == 200
    browser = Browser.at(endpoint)
    made = api.post(PATH, browser.subscription, by=person)
    assert made.status_code == 201, made.json
    return browser, made.get_json()["data"]["id"]


def subscriptions(api: Api, person: Person) -> list[dict[str, Any]]:
    """A person's browsers."""
    found: list[dict[str, Any]] = api.get(PATH, by=person).get_json()["data"]
    return found
