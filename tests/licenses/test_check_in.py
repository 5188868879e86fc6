"""Check-ins: every so many days a licence must be heard of."""

from datetime import timedelta

from sqlalchemy import select, update

from devforge_api.audit.models import AuditEvent
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import License
from devforge_api.licenses.service import check_in
from devforge_api.licenses.service.validation import Scope, known_facts
from tests.factories import code_of
from tests.licenses.together import at_once

WEEKLY = {"check_in_days": 7}


def due(api):
    with api.app.app_context():
        return db.session.scalar(select(License.check_in_due_at))


def set_due(api, at):
    with api.app.app_context(), unit_of_work():
        db.session.execute(update(License).values(check_in_due_at=at))


def told(api):
    with api.app.app_context():
        return len(
            db.session.scalars(select(AuditEvent).where(AuditEvent.action == "license.checked_in")).all()
        )


def call(api, license_, by):
    return api.post(f"/licenses/{license_.id}/check-in", by=by)


def test_a_licence_must_be_heard_of_from_the_day_of_its_issue(api, verdict):
    license_, before = api.license(policy=WEEKLY), utc_now()
    assert timedelta(days=7) - timedelta(minutes=5) < due(api) - before < timedelta(days=7, minutes=5)
    set_due(api, before)
    assert verdict(license_)["code"] == "OVERDUE"


def test_who_owns_it_or_is_of_the_team_checks_it_in_and_it_works_again(api, verdict):
    owner = api.person()
    license_ = api.license(owner=owner, policy=WEEKLY)
    for by in (owner, api.admin()):
        set_due(api, utc_now() - timedelta(days=1))
        answer = call(api, license_, by)
        assert answer.status_code == 200, answer.json
        assert answer.json["data"] == {
            "license_id": str(license_.id),
            "check_in_due_at": due(api).isoformat().replace("+00:00", "Z"),
        }
        assert verdict(license_)["code"] == "VALID"
    assert told(api) == 2
    call(api, license_, owner)  # in time: nothing to tell
    assert told(api) == 2


def test_nobody_else_checks_it_in(api):
    license_ = api.license(owner=api.person(), policy=WEEKLY)
    for stranger in (api.person(), api.person(role="support")):
        assert call(api, license_, stranger).status_code == 404


def test_where_no_check_in_is_asked_for_there_is_none(api):
    refused = call(api, api.license(), api.admin())
    assert (refused.status_code, code_of(refused)) == (409, "CHECK_IN_NOT_REQUIRED")


def test_what_has_ended_is_not_checked_in(api):
    license_, admin = api.license(policy=WEEKLY), api.admin()
    api.post(f"/licenses/{license_.id}/revoke", by=admin)
    refused = call(api, license_, admin)
    assert (refused.status_code, code_of(refused)) == (409, "LICENSE_ALREADY_REVOKED")


def ask(api, license_, now):
    with api.app.app_context(), unit_of_work():
        return check_in.renew_due(known_facts(license_.key, Scope(), now=now))


def test_an_app_that_asks_moves_the_deadline_once_an_hour_and_an_overdue_one_is_told(api, count_queries):
    license_, start = api.license(policy=WEEKLY), utc_now()
    set_due(api, start + timedelta(days=7))
    with api.app.app_context(), unit_of_work():
        facts = known_facts(license_.key, Scope(), now=start + timedelta(minutes=59))
        with count_queries() as seen:
            assert check_in.renew_due(facts) == start + timedelta(days=7)
        assert seen == []
    later = start + timedelta(hours=1)
    assert ask(api, license_, later) == due(api) == later + timedelta(days=7)
    assert told(api) == 0
    overdue = start + timedelta(days=30)
    assert ask(api, license_, overdue) == due(api) == overdue + timedelta(days=7)
    assert told(api) == 1


def test_an_app_of_a_policy_without_check_ins_moves_nothing(api):
    license_ = api.license()
    assert ask(api, license_, utc_now()) is None


def test_a_check_in_moves_no_version_and_never_back(api):
    license_, admin = api.license(policy=WEEKLY), api.admin()
    far = utc_now() + timedelta(days=100)
    set_due(api, far)
    assert call(api, license_, admin).status_code == 200
    assert due(api) == far
    set_due(api, utc_now() - timedelta(days=1))
    tag = api.get(f"/licenses/{license_.id}", by=admin).headers["ETag"]
    assert call(api, license_, admin).status_code == 200
    assert api.get(f"/licenses/{license_.id}", by=admin).headers["ETag"] == tag


def test_check_ins_at_once_tell_once_that_it_was_overdue(api):
    license_, now = api.license(policy=WEEKLY), utc_now()
    set_due(api, now - timedelta(days=1))
    answers = at_once([lambda: ask(api, license_, now)] * 8)
    assert set(answers) == {now + timedelta(days=7)}
    assert told(api) == 1


def test_a_policy_that_asks_for_check_ins_no_more_leaves_nobody_overdue_and_says_whom_it_frees(
    api, ask, verdict
):
    license_, admin = api.license(policy=WEEKLY), api.admin()
    set_due(api, utc_now() - timedelta(days=1))
    assert verdict(license_)["code"] == "OVERDUE"
    path = f"/policies/{license_.policy_id}"
    touched = api.patch(path, {"check_in_days": None}, by=admin).json["data"]["touched"]
    assert [(one["before"]["code"], one["after"]["code"]) for one in touched["licenses"]] == [
        ("OVERDUE", "VALID")
    ]
    answer = verdict(license_)
    assert (answer["code"], answer["license"]["check_in_due_at"]) == ("VALID", None)
    ensured = ask("ensure", license_, "m1").json["data"]
    assert ensured["lease"]["expires_at"] > ensured["ts"]
    # The deadline stays where it was: who asks for check-ins again is told of it.
    touched = api.patch(path, WEEKLY, by=admin).json["data"]["touched"]
    assert [one["after"]["code"] for one in touched["licenses"]] == ["OVERDUE"]
    assert call(api, license_, admin).status_code == 200
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"


def test_the_ledger_says_who_ended_that_it_was_overdue(api, ask):
    owner, overdue = api.person(), utc_now() - timedelta(days=1)
    license_ = api.license(owner=owner, policy=WEEKLY)
    set_due(api, overdue)
    assert ask("ensure", license_, "m1").json["data"]["code"] == "VALID"
    ask("ensure", license_, "m1")  # in time: no change
    set_due(api, overdue)
    assert call(api, license_, owner).status_code == 200
    told = api.get(f"/licenses/{license_.id}/ledger", by=api.admin()).json["data"]
    assert [(entry["event"], entry["cause"], entry["cause_id"]) for entry in told[:-1]] == [
        ("checked_in", "user", str(owner.id)),
        ("checked_in", "key", None),
    ]
    assert [len(entry["changes"]["check_in_due_at"]) for entry in told[:-1]] == [2, 2]
