"""The slots in which requests are served: few, and given in turn."""

import threading

import pytest

from devforge_api.core.slots import Slots
from devforge_api.ops.buffering import BufferedBodies
from tests.ops.conftest import until


def test_places_are_handed_over_in_the_order_of_asking():
    slots, order, threads = Slots(1), [], []

    def serve(number):
        with slots:
            order.append(number)

    with slots:
        for number in range(8):
            thread = threading.Thread(target=serve, args=(number,))
            thread.start()
            threads.append(thread)
            until(lambda waiting=number + 1: len(slots._waiting) == waiting, "a thread does not queue")
        assert order == []
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_never_more_are_inside_than_there_are_places():
    slots, inside, most = Slots(3), [], []

    def serve():
        for _ in range(200):
            with slots:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=serve) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 2400
    assert max(most) <= 3


def test_a_place_is_given_back_when_serving_fails():
    slots = Slots(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), slots:
            raise ValueError("broken")
    with slots:
        pass


def test_probes_are_answered_while_every_place_is_taken():
    asked = []

    def application(environ, start_response):
        asked.append(environ["PATH_INFO"])
        return [b""]

    buffered = BufferedBodies(application, slots=1, limit=1024)
    with buffered._slots:
        for path in ("/health", "/ready"):
            buffered({"PATH_INFO": path}, lambda *_: None)
        other = threading.Thread(target=buffered, args=({"PATH_INFO": "/metrics"}, lambda *_: None))
        other.start()
        until(lambda: len(buffered._slots._waiting) == 1, "another request does not queue")
        assert asked == ["/health", "/ready"]
    other.join()
    assert asked[-1] == "/metrics"
