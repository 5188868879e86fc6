"""Nothing is lost and nothing told twice: writers that overlap, readers that break off, Redis that goes."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from devforge_api.core.db import unit_of_work
from devforge_api.core.realtime import feed
from devforge_api.core.realtime.publishing import publish
from tests import servers
from tests.realtime.client import figure, read_all, socket, window
from tests.realtime.conftest import realtime_server, within

WRITERS, EACH = 6, 40


def write(app, people, number):
    """Transactions that tell several people several things, in any order; some are rolled back."""
    chance = random.Random(number)
    for count in range(EACH):
        with app.app_context():
            try:
                with unit_of_work():
                    told = [person.id for person in people]
                    chance.shuffle(told)
                    feed.append(told, "note", {"by": number, "count": count})
                    time.sleep(chance.uniform(0, 0.004))
                    feed.append(told, "note", {"by": number, "count": count, "again": True})
                    if chance.random() < 0.2:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue


def last_of(app, person):
    with app.app_context():
        return feed.last_ids([person.id])[person.id]


def test_readers_that_reconnect_get_every_message_once_while_writers_overlap(api, server):
    people = [api.person() for _ in range(3)]
    feeds = [person for person in people for _ in range(3)]
    for person in people:  # so that everybody has a feed to read from its beginning
        write(api.app, [person], 99)
    with ThreadPoolExecutor(WRITERS + len(feeds)) as pool:
        writing = [pool.submit(write, api.app, people, number) for number in range(WRITERS)]
        reading = []
        for person in feeds:
            reading.append(pool.submit(follow, api.app, server, person, writing))
        for done in writing:
            done.result()
        for person, seen in zip(feeds, reading, strict=True):
            last = last_of(api.app, person)
            assert last > WRITERS * EACH
            assert seen.result() == list(range(1, last + 1))


def follow(app, server, person, writing):
    """Read with connections that break, until the writers are done and there is nothing more."""
    seen = []
    while True:
        done = all(one.done() for one in writing)
        last = last_of(app, person)
        if seen and seen[-1] >= last and done:
            return seen
        already = seen[-1] if seen else 0
        if last > already:
            seen += read_all(server, person, last, after=already)


@pytest.mark.production_column("there must be a Redis to lose")
def test_nothing_is_lost_while_redis_is_away(api, environ, tmp_path, note):
    """The realtime process hears by a Redis of its own here; the application pokes by that one, too."""
    ada = api.person()
    with servers.redis_service() as redis:
        settings = environ | {"DEVFORGE_REDIS_URL": redis.url}
        with realtime_server(settings, tmp_path) as server, window(server, ada) as opened:
            opened.wait_for("ready")
            assert within(10, lambda: hears(api, redis, opened))
            redis.kill()
            note(ada, 1, 2)
            assert [event["data"]["number"] for event in opened.take(2)] == [1, 2]  # found by looking
            assert open_and_read(server, ada, note) == 3  # new windows come in all the same
            redis.start()
            note(ada, 4)
            assert [event["data"]["number"] for event in opened.take(2)] == [3, 4]
            assert within(20, lambda: hears(api, redis, opened))


def open_and_read(server, person, note):
    with socket(server, person) as opened:
        opened.wait_for("ready")
        note(person, 3)
        return opened.take()["data"]["number"]


def hears(api, redis, opened):
    """Whether somebody listens at this Redis, and is told."""
    import redis as client

    with client.Redis.from_url(redis.url) as link:
        return link.publish("devforge:realtime", '{"users":[]}') == 1


@pytest.mark.production_column("without Redis only one process serves streams")
def test_several_processes_tell_each_other(api, server, start, note):
    other, ada = start(), api.person()
    with socket(server, ada) as here, socket(other, ada) as there:
        mine = here.wait_for("ready")["data"]["connection"]
        there.wait_for("ready")
        here.say({"type": "typing", "data": {}})
        assert there.take()["data"] == {"from": mine}
        with api.app.app_context():
            publish(None, "system_status", {"maintenance": False})
        assert here.take()["type"] == there.take()["type"] == "system_status"
        note(ada, 1)
        assert here.take()["id"] == there.take()["id"] == 1


def test_a_client_that_does_not_read_is_dropped_and_its_backlog_is_not_held_in_memory(api, server, note):
    from tests.ops.test_server import resident

    ada, bob = api.person(), api.person()
    (worker,) = server.workers()
    with window(server, ada) as idle, window(server, bob) as reader:
        idle.wait_for("ready")
        before = resident(worker)
        dropped = figure(server, "devforge_realtime_streams_ended_total")
        for start in range(0, 400, 50):  # 40 MB in all, of which sockets take some
            note(ada, *range(start, start + 50), size=100_000)
        note(bob, 1)
        assert reader.take()[0]["data"] == {"number": 1}  # meanwhile the others are served
        assert within(40, lambda: figure(server, "devforge_realtime_streams_ended_total") > dropped)
        assert resident(worker) - before < 40
    with window(server, ada, after=0) as again:  # and has lost nothing
        assert [event["id"] for event in again.take(400)] == list(range(1, 401))
