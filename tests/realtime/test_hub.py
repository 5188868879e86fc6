"""The hub and its streams without a server: time, faults, and what a message costs."""

import time
from threading import Event
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError

from devforge_api.core.context import Principal
from devforge_api.core.errors import Unavailable
from devforge_api.core.realtime import feed
from devforge_api.notifications.service import event_streams, streams
from devforge_api.notifications.service.event_streams import EventStream
from devforge_api.notifications.service.hub import Hub
from devforge_api.notifications.service.streams import PASSING


@pytest.fixture
def hub(app):
    return Hub(app.app_context, most=1000)


def caller(person):
    return Principal(person.id, "user", frozenset(), uuid4(), 1)


def opened(hub, person, after=None):
    stream = hub.open(caller(person), "sse")
    return stream, EventStream(hub, stream, hub.begin(stream, after))


def test_silence_is_broken_by_a_comment(api, hub, monkeypatch):
    monkeypatch.setattr(event_streams, "BEAT_SECONDS", 0.05)
    _, body = opened(hub, api.person())
    assert b"event: ready" in next(body)
    assert next(body) == next(body) == b": still here\n\n"


def test_a_stream_that_has_served_its_time_ends_with_a_retry(api, hub):
    young, old = opened(hub, api.person()), opened(hub, api.person())
    for _, body in (young, old):
        next(body)
    old[0].until = time.monotonic() - 1
    hub.end_old()
    assert next(old[1]).startswith(b"retry: ")
    with pytest.raises(StopIteration):
        next(old[1])
    assert young[0].ending is None
    assert young[0].until - time.monotonic() < streams.LIFETIME * (1 + streams.JITTER)


def test_a_stream_whose_client_left_before_it_began_is_forgotten(api, hub):
    _, body = opened(hub, api.person())
    body.close()
    body.close()
    assert hub._streams() == []
    with pytest.raises(StopIteration):
        next(body)


def test_a_database_that_goes_away_delays_messages_and_loses_none(api, hub, note, monkeypatch):
    ada = api.person()
    stream, body = opened(hub, ada)
    next(body)
    genuine, failures = feed.read_after, iter([True, True])

    def read_after(*args, **kwargs):
        if next(failures, False):
            raise OperationalError("SELECT", {}, Exception("away"))
        return genuine(*args, **kwargs)

    monkeypatch.setattr(feed, "read_after", read_after)
    monkeypatch.setattr(event_streams, "AGAIN_SECONDS", 0.05)
    note(ada, 1)
    stream.look()
    assert b'{"number":1}' in next(body)


def test_what_is_over_at_once_takes_no_more_than_its_room(api, hub):
    ada = api.person()
    stream, _ = opened(hub, ada)
    stream.take()
    for number in range(PASSING * 3):
        hub.hear({"users": [str(ada.id)], "type": "typing", "data": {"number": number}})
    assert [one.data["number"] for one in stream.take()] == list(range(PASSING * 2, PASSING * 3))


def test_the_first_reason_for_an_end_counts(api, hub):
    stream, _ = opened(hub, api.person())
    stream.end(streams.REPLACED)
    hub.stop()
    assert stream.ending is streams.REPLACED
    with pytest.raises(Unavailable):
        hub.open(caller(api.person()), "sse")


def test_a_wake_is_an_event_that_may_be_somebody_else_s(api, hub, note):
    wake, ada = Event(), api.person()
    stream = hub.open(caller(ada), "ws", wake)
    hub.begin(stream, None)
    assert not wake.is_set()
    hub.hear({"users": [str(ada.id)]})
    assert wake.is_set()


def test_a_message_costs_one_query_and_looking_one_for_all(api, hub, note, count_queries):
    people = [api.person() for _ in range(6)]
    for person in people:
        note(person, 1)
    with count_queries() as asked:
        all_of_them = [opened(hub, person)[0] for person in people]
    assert len(asked) == len(people)
    with count_queries() as asked:
        hub.look()
    assert len(asked) == 1
    assert not any(stream.behind for stream in all_of_them)
    for person in people:
        note(person, 2, 3)
    with count_queries() as asked:
        hub.look()
    assert len(asked) == 1
    with count_queries() as asked:
        assert [len(hub.take(stream)) for stream in all_of_them] == [2] * 6
    assert len(asked) == 6
    with count_queries() as asked:
        hub.check()  # nobody's session is real here
    assert len(asked) == 1
    assert {stream.ending for stream in all_of_them} == {streams.DENIED}
