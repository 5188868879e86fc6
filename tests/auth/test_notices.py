"""Security letters: each event has one, to an address that is known to be the owner's."""

import pytest

from devforge_api.auth.models import Session
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import emit
from tests.factories import PASSWORD

EVENTS = {
    "auth.password_changed": "Your password was changed",
    "auth.reuse_detected": "We have signed out one of your devices",
    "auth.new_device": "A new device is signed in",
    "auth.mfa_enabled": "Two-step sign-in is on",
    "auth.mfa_disabled": "Two-step sign-in is off",
    "auth.recovery_code_used": "A recovery code was used",
    "auth.token_created": "A personal access token was made",
    "auth.identity_linked": "Another way to sign in was added",
    "auth.identity_unlinked": "A way to sign in was removed",
}


@pytest.fixture
def happen(app, session_of):
    """Let something happen to a person."""

    def tell(name, person, **more):
        known = {"session_id": str(session_of(person)), "token_id": str(person.id), "provider": "github"}
        keys = app.extensions["devforge-events"][name].keys
        payload = {"user_id": str(person.id), **{key: known[key] for key in keys & set(known)}, **more}
        with app.app_context(), unit_of_work():
            emit(name, **payload)

    return tell


@pytest.mark.parametrize(("event", "subject"), EVENTS.items())
def test_what_happens_to_an_account_is_told_to_its_owner(api, mailbox, happen, event, subject):
    ada, unverified = api.person(), api.person(verified=False)
    happen(event, ada)
    happen(event, unverified)
    assert mailbox.subjects(ada.email) == [subject]
    told_in_any_case = event == "auth.password_changed"
    assert mailbox.subjects(unverified.email) == ([subject] if told_in_any_case else [])


@pytest.mark.parametrize("event", EVENTS)
def test_an_account_that_is_gone_is_not_written_to(api, mailbox, happen, event):
    ada = api.person()
    happen(event, ada)
    api.delete(f"/users/{ada.id}", by=api.admin())
    assert mailbox.letters() == []
    with api.app.app_context():
        assert db.session.query(db.Model.metadata.tables["outbox"]).filter_by(status="dead").count() == 0


def test_changing_the_password_and_reuse_are_told(api, calls, mailbox):
    ada = api.person()
    assert calls.change_password(ada, "staple orbit lantern").status_code == 204
    assert mailbox.subjects() == ["Your password was changed"]
    first = calls.login(ada.email, "staple orbit lantern").json["data"]
    second = calls.refresh(first["refresh_token"]).json["data"]
    calls.refresh(second["refresh_token"])
    assert calls.refresh(first["refresh_token"]).status_code == 401
    assert "We have signed out one of your devices" in mailbox.subjects()


def test_a_letter_speaks_the_language_of_the_profile(api, mailbox, happen):
    ada = api.person()
    api.patch("/users/me", {"locale": "de-CH"}, by=ada)
    happen("auth.identity_linked", ada)
    letter = mailbox.last(ada.email)
    assert letter.subject == "Eine weitere Anmeldung wurde hinzugefügt"
    assert "GitHub" in letter.text


def test_a_device_is_named_without_anything_that_becomes_a_link(app, api, mailbox, happen, session_of):
    ada = api.person()
    with app.app_context(), unit_of_work():
        session = db.session.get(Session, session_of(ada))
        session.device_name = "Pay at http://evil.example/x <b>now</b>\r\nBcc: eve@evil.example; DevForge/1.4"
        session.address = "203.0.113.7"
    happen("auth.new_device", ada)
    letter = mailbox.last(ada.email)
    for part in (letter.text, letter.html):
        assert "Pay at http evil example x" in " ".join(part.split())
        assert "203.0.113.7" in part
        assert "evil.example" not in part
        assert "<b>" not in part
    assert letter.message["Bcc"] is None


def test_a_session_that_is_gone_is_told_of_nobody(app, api, mailbox, happen, session_of):
    ada = api.person()
    happen("auth.new_device", ada)
    with app.app_context(), unit_of_work():
        db.session.delete(db.session.get(Session, session_of(ada)))
    assert mailbox.letters() == []


def test_no_security_letter_holds_a_link_or_a_password(api, mailbox, happen):
    ada = api.person()
    for event in EVENTS:
        happen(event, ada)
    letters = mailbox.letters(ada.email)
    assert len(letters) == len(EVENTS)
    for letter in letters:
        assert "#" not in letter.text
        assert PASSWORD not in letter.text
