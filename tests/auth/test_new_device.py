"""Who signs in from where the owner never was is told of; the owner's own devices are not."""

import pytest
from sqlalchemy import select

from devforge_api.auth.models import Session
from devforge_api.core import outbox
from devforge_api.core.db import db
from tests.factories import code_of

HOME, OFFICE, ABROAD = "198.51.100.7", "192.0.2.20", "203.0.113.9"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NEWER_FIREFOX = FIREFOX.replace("140", "141")
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36"
)


def at(address, user_agent="DevForge/1.4"):
    return {"environ_base": {"REMOTE_ADDR": address}, "headers": {"User-Agent": user_agent}}


@pytest.fixture
def told(app, api, monkeypatch):
    """What subscribers of `auth.new_device` have been told; delivers what is due first."""
    letters = []
    monkeypatch.setitem(outbox._subscribers, "auth.new_device", {"tests.note": letters.append})

    def deliver():
        api.deliver()
        found = list(letters)
        letters.clear()
        return found

    return deliver


@pytest.fixture
def ada(calls, told):
    """Registered at home."""
    headers = {"User-Agent": FIREFOX}
    body = {"email": "ada@example.com", "password": "correct horse battery", "device_name": "Desk"}
    made = calls.api.post("/auth/register", body, headers=headers, environ_base={"REMOTE_ADDR": HOME})
    assert told() == []  # the first session of an account is no news
    return made.json["data"]


def test_an_unknown_place_is_told_of_with_user_and_session(app, calls, ada, told):
    assert calls.login("ada@example.com", **at(ABROAD, CHROME)).status_code == 200
    with app.app_context():
        session_id = db.session.scalar(select(Session.id).where(Session.network == ABROAD))
    assert told() == [{"user_id": ada["user"]["id"], "session_id": str(session_id)}]
    # From now on it is known.
    calls.login("ada@example.com", **at(ABROAD, CHROME))
    assert told() == []


@pytest.mark.parametrize(
    ("where", "more", "is_new"),
    [
        (at(HOME, CHROME), {}, False),  # the same address
        (at(ABROAD, NEWER_FIREFOX), {"device_name": "Desk"}, False),  # the same device elsewhere
        (at(ABROAD, CHROME), {"device_name": "Desk"}, True),  # its name, in another program
        (at(ABROAD, FIREFOX), {"device_name": "Phone"}, True),
        (at(ABROAD, FIREFOX), {}, True),  # anybody may use the same browser
        (at("2001:db8::1", CHROME), {}, True),
    ],
)
def test_what_makes_a_device_known(calls, ada, told, where, more, is_new):
    assert calls.login("ada@example.com", **more, **where).status_code == 200
    assert bool(told()) is is_new


def test_a_device_token_makes_every_place_known(calls, ada, told):
    token = ada["device_token"]
    for address in (OFFICE, ABROAD):
        assert calls.login("ada@example.com", device_token=token, **at(address, CHROME)).status_code == 200
    assert told() == []


def test_a_place_whose_session_the_owner_has_ended_is_new_again(api, calls, ada, told):
    calls.login("ada@example.com", **at(ABROAD, CHROME))
    assert len(told()) == 1
    bearer = {"Authorization": f"Bearer {ada['access_token']}"}
    sessions = api.get("/auth/sessions", headers=bearer).json["data"]
    theirs = next(one["id"] for one in sessions if not one["current"])
    assert api.delete(f"/auth/sessions/{theirs}", headers=bearer).status_code == 204
    calls.login("ada@example.com", **at(ABROAD, CHROME))
    assert len(told()) == 1


def test_a_wrong_password_is_no_new_device(calls, ada, told):
    refused = calls.login("ada@example.com", "not the password", **at(ABROAD, CHROME))
    assert code_of(refused) == "INVALID_CREDENTIALS"
    assert told() == []


# --- the history that the owner sees ----------------------------------------------------------


def test_the_history_tells_what_happened_how_and_from_where(api, calls, ada):
    calls.login("ada@example.com", "not the password", **at(ABROAD, CHROME))
    calls.login("ada@example.com", **at(OFFICE))
    bearer = {"Authorization": f"Bearer {ada['access_token']}"}
    rows = api.get("/auth/activity?sort=created_at", headers=bearer).json["data"]
    shown = [(row["action"], row["method"], row["address"], row["user_agent"]) for row in rows]
    assert shown == [
        ("user.created", None, HOME, FIREFOX),
        ("auth.signed_in", "password", HOME, FIREFOX),
        ("auth.sign_in_failed", "password", ABROAD, CHROME),
        ("auth.signed_in", "password", OFFICE, "DevForge/1.4"),
    ]
    assert set(rows[0]) == {"id", "created_at", "action", "method", "address", "user_agent"}


def test_the_history_is_one_s_own(api, calls, ada):
    other = api.person()
    calls.login("ada@example.com", **at(OFFICE))
    actions = [row["action"] for row in api.get("/auth/activity", by=other).json["data"]]
    assert sorted(actions) == ["auth.signed_in", "user.created", "user.email_verified"]
