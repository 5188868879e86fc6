"""Consent to the terms of use: asked where there are any, kept with its version and time."""

import pytest

from devforge_api.core.clock import rfc3339, utc_now
from tests.factories import PASSWORD, code_of


@pytest.fixture
def asked(app, monkeypatch):
    """Let this application ask for a version of the terms."""

    def ask(version):
        monkeypatch.setitem(app.config, "TERMS_VERSION", version)

    return ask


def register(api, email="ada@example.com", **more):
    return api.post("/auth/register", {"email": email, "password": PASSWORD, **more})


def test_without_terms_nothing_is_asked(api):
    for number, more in enumerate([{}, {"accepted_terms": None}, {"accepted_terms": "2026-01"}]):
        made = register(api, f"ada{number}@example.com", **more)
        assert made.status_code == 201
        user = made.json["data"]["user"]
        assert (user["terms_version"], user["terms_accepted_at"]) == (None, None)


@pytest.mark.parametrize("given", [{}, {"accepted_terms": None}, {"accepted_terms": "2025-01"}])
def test_registering_needs_the_version_in_force(api, asked, given):
    asked("2026-01")
    refused = register(api, **given)
    assert (refused.status_code, code_of(refused)) == (422, "TERMS_NOT_ACCEPTED")
    assert refused.json["error"]["params"] == {"version": "2026-01"}
    assert refused.json["error"]["field"] == "accepted_terms"


def test_version_and_time_are_kept(api, asked):
    asked("2026-01")
    before = rfc3339(utc_now())
    user = register(api, accepted_terms="2026-01").json["data"]["user"]
    assert user["terms_version"] == "2026-01"
    assert before <= user["terms_accepted_at"] <= rfc3339(utc_now())
    rows = api.get("/audit/events?action=user.created", by=api.admin()).json["data"]
    created = next(row for row in rows if row["target_id"] == user["id"])
    assert created["changes"]["terms_version"] == [None, "2026-01"]


def test_a_registration_that_answers_silently_asks_likewise(app, api, asked, monkeypatch):
    monkeypatch.setitem(app.config, "EMAIL_VERIFICATION", "required")
    asked("2026-01")
    api.person(email="known@example.com")
    for email in ("known@example.com", "new@example.com"):
        assert code_of(register(api, email)) == "TERMS_NOT_ACCEPTED"
        assert register(api, email, accepted_terms="2026-01").status_code == 202
    found = api.get("/users?email=new@example.com", by=api.admin()).json["data"]
    assert found[0]["terms_version"] == "2026-01"


def test_a_newer_version_is_accepted_later_and_once(api, asked):
    asked("2026-01")
    ada = api.person()
    assert api.get("/auth/me", by=ada).json["data"]["terms_version"] is None
    refused = api.post("/users/me/terms", {"version": "2025-12"}, by=ada)
    assert (code_of(refused), refused.json["error"]["params"]) == (
        "TERMS_NOT_ACCEPTED",
        {"version": "2026-01"},
    )
    first = api.post("/users/me/terms", {"version": "2026-01"}, by=ada).json["data"]
    again = api.post("/users/me/terms", {"version": "2026-01"}, by=ada).json["data"]
    assert first == again == api.get("/auth/me", by=ada).json["data"]
    asked("2026-02")
    newer = api.post("/users/me/terms", {"version": "2026-02"}, by=ada).json["data"]
    assert newer["terms_version"] == "2026-02"
    rows = api.get("/audit/events?action=user.terms_accepted&sort=created_at", by=api.admin()).json["data"]
    changes = [row["changes"]["terms_version"] for row in rows]
    assert changes == [[None, "2026-01"], ["2026-01", "2026-02"]]


def test_where_there_are_no_terms_none_are_accepted(api):
    ada = api.person()
    answer = api.post("/users/me/terms", {"version": "2026-01"}, by=ada)
    assert (answer.status_code, answer.json["data"]["terms_version"]) == (200, None)
