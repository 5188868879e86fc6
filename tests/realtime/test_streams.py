"""Event streams from the running process."""

import signal
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest

from devforge_api.core import maintenance
from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.realtime import feed
from devforge_api.notifications.service.hub import MOST_OF_A_USER
from devforge_api.notifications.service.watch import CHECK_SECONDS
from tests.factories import V1, code_of
from tests.realtime.client import Window, figure, open_streams, window
from tests.realtime.conftest import within


def numbers(events):
    return [event["data"]["number"] for event in events]


def test_a_window_is_told_what_happens_from_its_opening_on(api, server, note):
    ada = api.person()
    note(ada, 1)
    with window(server, ada) as opened:
        ready = opened.wait_for("ready")
        assert ready["id"] == ready["data"]["last_event_id"] == 1
        note(ada, 2)
        note(ada, 3, 4)
        found = opened.take(3)
    assert numbers(found) == [2, 3, 4]
    assert [event["id"] for event in found] == [2, 3, 4]
    assert found[0]["timestamp"].endswith("Z")


def test_a_first_window_of_a_new_user_is_told_the_first_message(api, server, note):
    ada = api.person()
    with window(server, ada) as opened:
        assert opened.wait_for("ready")["id"] == 0
        note(ada, 1)
        assert numbers(opened.take()) == [1]


def test_the_answer_is_not_kept_not_buffered_and_not_compressed(api, server):
    ada = api.person()
    with window(server, ada, **{"Accept-Encoding": "gzip, br"}) as opened:
        headers = opened.answer.headers
        assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["Content-Encoding"] is None
        assert headers["X-Request-ID"]
        opened.wait_for("ready")
        assert opened.retry is not None


def test_a_window_that_comes_back_is_told_what_it_has_missed(api, server, note):
    ada = api.person()
    note(ada, *range(1, 251))  # more than is read at once
    with window(server, ada, after=3) as opened:
        assert numbers(opened.take(247)) == list(range(4, 251))
    with Window(server.port, "?last_event_id=248", **ada.headers) as opened:
        assert numbers(opened.take(2)) == [249, 250]
    with Window(server.port, "?last_event_id=1", **ada.headers, **{"Last-Event-ID": "249"}) as opened:
        assert numbers(opened.take()) == [250]  # a browser repeats the address, and adds the newer id


@pytest.mark.parametrize("after", ["99", "-1", "", "abc", "9" * 30, "1.0"])
def test_an_id_that_this_feed_never_had_sends_the_client_to_its_lists(api, server, note, after):
    ada = api.person()
    note(ada, 1, 2)
    with Window(server.port, f"?last_event_id={after}", **ada.headers) as opened:
        if after == "":
            assert opened.status == 422
            return
        (error,) = opened.take()
        assert (error["type"], error["data"]["code"], error["id"]) == ("error", "FEED_TRUNCATED", 2)
        note(ada, 3)
        assert numbers(opened.take()) == [3]


def test_what_is_kept_no_longer_is_told_as_a_gap(api, server, note):
    ada = api.person()
    note(ada, 1, 2, 3)
    with api.app.app_context(), unit_of_work():
        assert feed.purge(utc_now() + feed.KEPT + timedelta(seconds=5)) == 3
    note(ada, 4)
    for after in (0, 2):
        with window(server, ada, after=after) as opened:
            (error,) = opened.take()
            assert (error["data"]["code"], error["id"]) == ("FEED_TRUNCATED", 4)
    with window(server, ada, after=3) as opened:  # nothing that it lacks is gone
        assert numbers(opened.take()) == [4]


def test_nobody_is_told_what_is_another_users(api, server, note):
    ada, bob = api.person(), api.person()
    with window(server, ada, after=0) as adas, window(server, bob, after=0) as bobs:
        for number in range(20):
            note(ada, number)
            note(bob, 100 + number)
        assert numbers(adas.take(20)) == list(range(20))
        assert numbers(bobs.take(20)) == list(range(100, 120))


def test_nobody_enters_without_leave(api, server):
    for headers, code in [({}, "TOKEN_MISSING"), ({"Authorization": "Bearer x.y.z"}, "TOKEN_INVALID")]:
        with Window(server.port, **headers) as refused:
            assert (refused.status, refused.refusal()) == (401, code)
    tool = api.reauthenticated(api.person())
    made = api.post("/auth/tokens", {"name": "Tool", "scopes": ["profile:read"]}, by=tool).json["data"]
    with Window(server.port, Authorization=f"Bearer {made['token']}") as refused:
        assert (refused.status, refused.refusal()) == (403, "FORBIDDEN")


def test_only_streams_are_served_there(api, server):
    ada = api.person()
    assert server.ask(f"{V1}/realtime/tickets", method="POST", headers=ada.headers)[0].status == 404
    for path in (f"{V1}/auth/me", f"{V1}/openapi.json", "/docs", "/.well-known/jwks.json"):
        answer, _ = server.ask(path, headers=ada.headers)
        assert answer.status == 404, path
    for path in ("/health", "/ready", "/metrics"):
        assert server.ask(path)[0].status == 200, path


def test_streams_are_not_served_by_the_api(api):
    refused = api.get("/realtime/stream", by=api.person())
    assert (refused.status_code, code_of(refused)) == (421, "MISDIRECTED_REQUEST")
    assert refused.json["error"]["params"]["url"] == api.app.config["REALTIME_URL"]


def test_a_session_that_ends_ends_its_streams_alone(api, server, note):
    ada, bob = api.person(), api.person()
    other = api.post("/auth/login", {"email": ada.email, "password": "correct horse battery"}).json["data"]
    token = {"Authorization": f"Bearer {other['access_token']}"}
    with window(server, ada) as first, window(server, bob) as bobs, Window(server.port, **token) as second:
        for opened in (first, second, bobs):
            opened.wait_for("ready")
        api.post("/auth/logout", by=ada)
        api.deliver()
        began = time.monotonic()
        *_, error = first.rest()
        assert error["data"]["code"] == "TOKEN_REVOKED"
        assert time.monotonic() - began < CHECK_SECONDS + 5
        note(ada, 1)
        note(bob, 2)
        assert numbers(second.take()) == [1]
        assert numbers(bobs.take()) == [2]


def test_a_disabled_user_and_a_revoked_tool_lose_their_streams(api, server):
    ada, bob = api.person(), api.reauthenticated(api.person())
    tool = {"name": "Tool", "scopes": ["realtime:read"]}
    made = api.post("/auth/tokens", tool, by=bob).json["data"]
    with window(server, ada) as adas, Window(server.port, Authorization=f"Bearer {made['token']}") as tools:
        adas.wait_for("ready")
        tools.wait_for("ready")
        api.ban(ada.id)
        assert api.delete(f"/auth/tokens/{made['id']}", by=bob).status_code == 204
        api.deliver()
        for opened in (adas, tools):
            assert opened.rest()[-1]["data"]["code"] == "TOKEN_REVOKED"


def test_of_too_many_windows_of_one_user_the_oldest_goes(api, server, note):
    ada, bob = api.person(), api.person()
    with ExitStack() as stack:
        bobs = stack.enter_context(window(server, bob))
        opened = []
        for _ in range(MOST_OF_A_USER + 1):
            opened.append(stack.enter_context(window(server, ada)))
            opened[-1].wait_for("ready")
        assert opened[0].rest()[-1]["data"]["code"] == "STREAM_REPLACED"
        note(ada, 1)
        note(bob, 2)
        assert [numbers(one.take()) for one in opened[1:]] == [[1]] * MOST_OF_A_USER
        assert numbers(bobs.take()) == [2]


def test_a_window_that_is_closed_is_forgotten_at_once(api, server):
    ada = api.person()
    assert within(15, lambda: open_streams(server) == 0)
    with window(server, ada) as opened:
        opened.wait_for("ready")
        assert open_streams(server) == 1
        sent = figure(server, "devforge_realtime_messages_total")
        assert sent >= 1
    assert within(5, lambda: open_streams(server) == 0)


def test_a_user_s_windows_hear_of_each_other(api, server):
    ada = api.person()
    with window(server, ada) as first:
        first.wait_for("ready")
        with window(server, ada) as second:
            mine = second.wait_for("ready")["data"]["connection"]
            assert first.wait_for("presence")["data"] == {"from": mine, "status": "online"}
        assert first.wait_for("presence")["data"] == {"from": mine, "status": "offline"}


def test_everybody_is_told_of_maintenance_and_a_new_window_at_once(api, server):
    ada, bob = api.person(), api.person()
    with window(server, ada) as early:
        early.wait_for("ready")
        with api.app.app_context(), unit_of_work():
            maintenance.begin("Back at ten.", 60)
        told = early.wait_for("system_status")
        assert told["data"]["maintenance"] is True
        assert told["data"]["message"] == "Back at ten."
        assert told["id"] is None
        with window(server, bob) as late:
            assert late.wait_for("system_status")["data"]["message"] == "Back at ten."
            with api.app.app_context(), unit_of_work():
                maintenance.end()
            for opened in (early, late):
                assert opened.wait_for("system_status")["data"] == {
                    "maintenance": False, "message": None, "since": None,
                }  # fmt: skip


def test_streams_hold_no_connection_to_the_database(api, start, note):
    server = start(DATABASE_POOL_SIZE="1")
    ada, bob = api.person(), api.person()
    with ExitStack() as stack:
        opened = [stack.enter_context(window(server, person)) for person in (ada, bob) * 15]
        for one in opened:
            one.wait_for("ready")
        note(ada, 1)
        note(bob, 1)
        assert [numbers(one.take()) for one in opened] == [[1]] * 30


def test_who_finds_no_room_is_asked_to_wait_and_loses_no_ticket(api, start):
    server = start(REALTIME_CONNECTIONS="2")
    ada = api.person()
    ticket = api.post("/realtime/tickets", by=ada).json["data"]["ticket"]
    with window(server, ada) as first, window(server, ada):
        first.wait_for("ready")
        for query, headers in [("", ada.headers), (f"?ticket={ticket}", {})]:
            with Window(server.port, query, **headers) as refused:
                assert (refused.status, refused.refusal()) == (503, "SERVICE_UNAVAILABLE")
                assert int(refused.answer.headers["Retry-After"]) > 0
        assert server.ask("/health")[0].status == 200
    assert within(5, lambda: open_streams(server) == 0)
    with Window(server.port, f"?ticket={ticket}") as opened:
        assert opened.status == 200


def test_streams_end_with_a_word_when_the_server_stops(api, start, note):
    server = start()
    ada = api.person()
    with ExitStack() as stack:
        opened = [stack.enter_context(window(server, ada)) for _ in range(10)]
        for one in opened:
            one.wait_for("ready")
            one.retry = None
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for one in opened:
            assert {event["type"] for event in one.rest()} <= {"presence"}  # and the body is whole
            assert one.retry is not None
        assert server.process.wait(20) == 0
        assert time.monotonic() - began < 10
