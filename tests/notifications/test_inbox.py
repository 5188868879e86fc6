"""What users see of their notifications, and what they do with them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from time import sleep
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.news import News
from devforge_api.notifications.models import Notification
from devforge_api.notifications.service import inbox, telling
from devforge_api.users.service import delete_user, get_user_beside_admins
from tests.factories import code_of
from tests.factories.notifications import LICENSE, tell


@pytest.fixture
def ada(api):
    return api.person()


def listed(api, person, query=""):
    answer = api.get(f"/notifications{query}", by=person)
    assert answer.status_code == 200, answer.json
    return answer.json["data"]


def ids(api, person, query=""):
    return [row["id"] for row in listed(api, person, query)]


def unread(api, person):
    return api.get("/notifications/unread-count", by=person).json["data"]["unread"]


def test_a_notification_tells_what_happened_and_where_to_look(api, ada):
    tell(api, [ada])
    (row,) = listed(api, ada)
    assert row["title"] == "Your licence for Dev Forge has expired"
    assert row["body"] == "Your licence for Dev Forge (pro) has expired. Renew it to go on."
    assert row["link"] == {"type": "license", "id": LICENSE["license_id"]}
    assert (row["kind"], row["event"], row["data"]) == ("licenses", "license.expired", LICENSE)
    assert (row["read"], row["read_at"]) == (False, None)
    one = api.get(f"/notifications/{row['id']}", by=ada)
    assert one.json["data"] == row


def test_it_speaks_the_reader_s_language_also_after_that_has_changed(api, ada, set_locale):
    tell(api, [ada], "license.renewed")
    set_locale(ada, "de-AT")
    (row,) = listed(api, ada)
    assert row["title"] == "Lizenz verlängert"
    assert row["body"] == "Ihre Lizenz für Dev Forge (pro) gilt bis zum 2026-01-15."


def test_lists_filter_by_what_is_unread_by_kind_event_and_time(api, ada):
    tell(api, [ada], "license.expired")
    between = utc_now()
    tell(api, [ada], "order.paid", amount=5900, currency="USD")
    tell(api, [ada], "auth.mfa_enabled")
    mfa, paid, expired = ids(api, ada)
    assert api.post("/notifications/read", {"ids": [paid]}, by=ada).json["data"] == {
        "unread": 2,
        "changed": 1,
    }
    assert ids(api, ada, "?read=false") == [mfa, expired]
    assert ids(api, ada, "?read=true") == [paid]
    assert ids(api, ada, "?kind=licenses") == [expired]
    assert ids(api, ada, "?kind_in=account,billing") == [mfa, paid]
    assert ids(api, ada, "?event=order.paid") == [paid]
    assert ids(api, ada, f"?created_at_lt={between.isoformat().replace('+00:00', 'Z')}") == [expired]
    assert ids(api, ada, "?sort=created_at&limit=1") == [expired]
    assert code_of(api.get("/notifications?user_id=1", by=ada)) == "VALIDATION_ERROR"


def test_a_page_costs_the_same_however_many_notifications_there_are(api, ada, count_queries):
    for _ in range(15):
        tell(api, [ada])
    with count_queries() as sent:
        assert len(listed(api, ada)) == 15
    # Beside it: whether the token still admits.
    assert len([one for one in sent if "notifications" in one]) == 1
    assert len(sent) <= 3


def test_all_are_read_at_once_but_for_those_that_came_later(api, ada):
    tell(api, [ada])
    tell(api, [ada])
    seen = listed(api, ada)[0]["created_at"]
    tell(api, [ada])
    done = api.post("/notifications/read", {"all": True, "before": seen}, by=ada)
    assert done.json["data"] == {"unread": 1, "changed": 2}
    rest = api.post("/notifications/read", {"all": True}, by=ada)
    assert rest.json["data"] == {"unread": 0, "changed": 1}
    assert unread(api, ada) == 0


def test_what_was_read_can_become_unread_again(api, ada):
    tell(api, [ada])
    (one,) = ids(api, ada)
    api.post("/notifications/read", {"ids": [one]}, by=ada)
    back = api.post("/notifications/read", {"ids": [one], "read": False}, by=ada)
    assert back.json["data"] == {"unread": 1, "changed": 1}
    assert listed(api, ada)[0]["read_at"] is None


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": []}, {"all": True, "ids": [str(uuid4())]}, {"all": True, "read": False},
     {"ids": [str(uuid4())], "before": "2026-01-01T00:00:00Z"},
     {"ids": [str(uuid4())] * 101}, {"all": "yes"}],
)  # fmt: skip
def test_marking_says_which_ones_in_one_way(api, ada, body):
    refused = api.post("/notifications/read", body, by=ada)
    assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")


def test_other_windows_learn_what_was_read_and_removed(api, ada, feed_of):
    tell(api, [ada], "auth.mfa_enabled")
    (one,) = ids(api, ada)
    api.post("/notifications/read", {"ids": [one]}, by=ada)
    api.post("/notifications/read", {"ids": [one]}, by=ada)  # changes nothing: tells nothing
    api.delete(f"/notifications/{one}", by=ada)
    new, read, removed = feed_of(ada)
    assert new[0] == read[0] == removed[0] == "notification"
    assert new[1]["id"] == one
    assert read[1] == {"read": True, "ids": [one], "unread": 0}
    assert removed[1] == {"removed": True, "ids": [one], "unread": 0}


def test_others_notifications_are_not_there(api, ada):
    eve = api.person()
    tell(api, [ada])
    (one,) = ids(api, ada)
    assert listed(api, eve) == []
    for refused in (
        api.get(f"/notifications/{one}", by=eve),
        api.delete(f"/notifications/{one}", by=eve),
    ):
        assert (refused.status_code, code_of(refused)) == (404, "NOTIFICATION_NOT_FOUND")
    assert api.post("/notifications/read", {"ids": [one]}, by=eve).json["data"]["changed"] == 0
    api.post("/notifications/read", {"all": True}, by=eve)
    assert unread(api, ada) == 1


def test_a_notification_is_removed_once(api, ada):
    tell(api, [ada])
    (one,) = ids(api, ada)
    assert api.delete(f"/notifications/{one}", by=ada).status_code == 204
    assert api.delete(f"/notifications/{one}", by=ada).status_code == 404
    assert listed(api, ada) == []


def test_a_tool_reads_with_its_scope_alone(api, ada):
    tell(api, [ada])
    api.reauthenticated(ada)
    token = {"name": "Tool", "scopes": ["notifications:read"]}
    made = api.post("/auth/tokens", token, by=ada).json["data"]["token"]
    headers = {"Authorization": f"Bearer {made}"}
    assert len(api.get("/notifications", headers=headers).json["data"]) == 1
    assert api.post("/notifications/read", {"all": True}, headers=headers).status_code == 403


def test_several_windows_mark_the_same_at_once_and_each_change_counts_once(api, ada):
    for _ in range(6):
        tell(api, [ada])
    wanted = ids(api, ada)
    start = Barrier(4)

    def window(number):
        start.wait()
        order = wanted if number % 2 else wanted[::-1]
        body = {"all": True} if number == 3 else {"ids": order}
        answer = api.post("/notifications/read", body, by=ada)
        assert answer.status_code == 200, answer.json
        return answer.json["data"]["changed"]

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(window, range(4))) == 6
    assert unread(api, ada) == 0


@pytest.mark.parametrize("deed", ["mark", "mark_all", "remove", "tell"])
def test_an_account_can_be_erased_while_its_windows_are_busy(api, ada, deed):
    """Each takes the user's row first, so that none waits for what the other one holds."""
    tell(api, [ada])
    (one,) = ids(api, ada)

    def erase():
        with api.app.app_context(), unit_of_work():
            delete_user(get_user_beside_admins(ada.id))

    def work():
        if deed == "mark":
            inbox.mark(ada.id, [UUID(one)], read=True)
        elif deed == "mark_all":
            inbox.mark_all(ada.id, before=None)
        elif deed == "remove":
            inbox.remove(inbox.lock(UUID(one), user_id=ada.id))
        else:
            telling.tell(News("license.expired", (ada.id,), LICENSE, utc_now()))

    with ThreadPoolExecutor(1) as pool:
        with api.app.app_context(), unit_of_work():
            work()
            erased = pool.submit(erase)
            sleep(0.3)  # until the eraser waits for the row; without any wait this would prove nothing
        erased.result(20)
    with api.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Notification)) == 0


def test_what_is_older_than_ninety_days_goes(api, ada, context):
    tell(api, [ada])
    tell(api, [ada])
    old, new = ids(api, ada)
    with unit_of_work():
        aged = update(Notification).where(Notification.id == UUID(old))
        db.session.execute(aged.values(created_at=utc_now() - timedelta(days=91)))
    with unit_of_work():
        assert inbox.purge(utc_now()) == 1
    assert ids(api, ada) == [new]
