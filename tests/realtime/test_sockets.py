"""WebSocket from the running process."""

import json
import signal
import time
from socket import socketpair

import pytest
import websocket

from devforge_api.notifications.service import sockets
from devforge_api.notifications.service.sockets import BORNE, HEARD, LARGEST
from tests.realtime.client import PATIENCE, Socket, open_streams, socket, window
from tests.realtime.conftest import within


def code(message):
    assert message["type"] == "error", message
    return message["data"]["code"]


def test_a_socket_is_told_what_a_stream_is(api, server, note):
    ada, bob = api.person(), api.person()
    with socket(server, ada) as opened, window(server, ada) as stream, socket(server, bob) as bobs:
        assert opened.wait_for("ready")["id"] == 0
        stream.wait_for("ready")
        note(ada, 1)
        found = opened.take()
        (same,) = stream.take()
        assert found == same
        assert set(found) == {"type", "data", "timestamp", "id"}
        note(bob, 2)
        assert bobs.take()["data"] == {"number": 2}
        assert opened.is_silent()


def test_a_socket_that_comes_back_is_told_what_it_has_missed(api, server, note):
    ada = api.person()
    note(ada, *range(1, 131))
    with socket(server, ada, "?last_event_id=10") as opened:
        assert [opened.take()["id"] for _ in range(120)] == list(range(11, 131))
    with socket(server, ada, "?last_event_id=999") as opened:
        assert code(opened.take()) == "FEED_TRUNCATED"


def test_a_large_message_arrives_whole(api, server, note):
    """More than a socket takes at once: the library sends in one call, and does not look how much went."""
    ada = api.person()
    with socket(server, ada) as opened:
        opened.wait_for("ready")
        note(ada, *range(1, 51), size=100_000)
        time.sleep(1)
        found = [opened.take() for _ in range(50)]
    assert [one["id"] for one in found] == list(range(1, 51))
    assert {len(one["data"]["text"]) for one in found} == {100_000}


def test_ping_is_answered(api, server):
    with socket(server, api.person()) as opened:
        opened.say({"type": "ping"})
        assert opened.take()["type"] == "pong"
        opened.connection.ping("hello")
        opened.say({"type": "ping"})
        assert opened.take()["type"] == "pong"


def test_typing_reaches_the_user_s_other_windows_alone(api, server):
    ada, bob = api.person(), api.person()
    with (
        socket(server, ada) as first,
        socket(server, ada) as second,
        window(server, ada) as third,
        socket(server, bob) as bobs,
    ):
        mine = first.wait_for("ready")["data"]["connection"]
        third.wait_for("ready")
        second.wait_for("ready")
        first.say({"type": "typing", "data": {"in": "chat", "from": "somebody else"}})
        for told in (second.take(), third.take()[0]):
            assert (told["type"], told["data"]) == ("typing", {"in": "chat", "from": mine})
            assert told.get("id") is None
        assert first.is_silent()
        assert bobs.is_silent()


def test_a_socket_s_presence_is_told_to_the_user_s_others(api, server):
    ada = api.person()
    with socket(server, ada) as first:
        with socket(server, ada) as second:
            mine = second.wait_for("ready")["data"]["connection"]
            assert first.wait_for("presence")["data"] == {"from": mine, "status": "online"}
            second.say({"type": "presence", "data": {"status": "busy"}})
            assert first.wait_for("presence")["data"] == {"from": mine, "status": "busy"}
        assert first.wait_for("presence")["data"] == {"from": mine, "status": "offline"}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("no JSON", "MALFORMED_REQUEST"),
        ('{"type":"typing","type":"ping"}', "MALFORMED_REQUEST"),
        ('{"type":"typing","data":[]}', "MALFORMED_REQUEST"),
        ("[" * 4000, "MALFORMED_REQUEST"),
        ("{}", "UNKNOWN_TYPE"),
        ("[]", "UNKNOWN_TYPE"),
        ('{"type":"notification","data":{}}', "UNKNOWN_TYPE"),
        ('{"type":{"a":1}}', "UNKNOWN_TYPE"),
    ],
)
def test_what_cannot_be_understood_is_answered_and_the_socket_stays(api, server, said, why):
    with socket(server, api.person()) as opened:
        opened.say(said)
        assert code(opened.take()) == why
        opened.say({"type": "ping"})
        assert opened.take()["type"] == "pong"


def test_bytes_are_no_message(api, server):
    with socket(server, api.person()) as opened:
        opened.connection.send_binary(b"{}")
        assert code(opened.take()) == "MALFORMED_REQUEST"


def test_a_message_that_is_too_large_ends_the_socket(api, server):
    with socket(server, api.person()) as opened:
        opened.say("x" * (LARGEST + 1))
        assert opened.close_code() == 1009
    assert within(5, lambda: open_streams(server) == 0)


def is_dropped_while_it_talks(opened):
    try:
        for _ in range(BORNE * 4):
            opened.say({"type": "ping"})
            time.sleep(0.002)
    except (OSError, websocket.WebSocketException):
        return True
    return False


def test_who_says_too_much_is_not_heard_and_who_goes_on_is_dropped(api, server):
    ada = api.person()
    with socket(server, ada) as loud, socket(server, ada) as other:
        other.wait_for("ready")
        for number in range(HEARD + 10):
            loud.say({"type": "typing", "data": {"number": number}})
        assert code(loud.take()) == "RATE_LIMITED"
        heard = [other.take()["data"]["number"] for _ in range(HEARD)]
        assert heard == list(range(HEARD))
        assert other.is_silent()
        assert is_dropped_while_it_talks(loud)
    assert within(5, lambda: open_streams(server) == 0)


class Clock:
    """Time that passes while somebody sleeps."""

    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_a_client_is_read_no_faster_than_it_may_speak_whatever_it_sends(monkeypatch):
    """Of frames that are no messages, such as pings, nobody counts how many there are."""
    monkeypatch.setattr(sockets, "time", clock := Clock())
    ours, theirs = socketpair()
    with ours, theirs:
        theirs.sendall(b"\x89\x80\0\0\0\0" * 8000)
        theirs.close()
        read, slow = 0, sockets.WholeSends(ours)
        while part := slow.recv(4096):
            read += len(part)
        assert read == 48_000
        assert clock.now >= read / sockets.BYTES_PER_SECOND


def test_a_frame_that_breaks_the_protocol_ends_the_socket(api, server):
    with socket(server, api.person()) as opened:
        opened.wait_for("ready")
        opened.connection.sock.sendall(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
        assert opened.close_code() in {1002, 1007}
    assert within(5, lambda: open_streams(server) == 0)


def test_a_socket_that_is_cut_off_is_forgotten(api, server):
    opened = socket(server, api.person())
    opened.wait_for("ready")
    opened.connection.sock.close()
    assert within(5, lambda: open_streams(server) == 0)


def test_a_session_that_ends_ends_its_sockets(api, server):
    ada = api.person()
    with socket(server, ada) as opened:
        opened.wait_for("ready")
        api.post("/auth/logout", by=ada)
        api.deliver()
        assert code(opened.take()) == "TOKEN_REVOKED"
        assert opened.close_code() == 4401


def test_nobody_enters_without_leave(api, server):
    for options, status in [({}, 401), ({"header": {"Authorization": "Bearer a.b.c"}}, 401)]:
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            Socket(server, **options)
        assert refused.value.status_code == status
        assert json.loads(refused.value.resp_body)["success"] is False


def test_what_is_no_websocket_is_refused_in_the_envelope(api, server):
    ada = api.person()
    odd = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "8"}
    for headers in (ada.headers, ada.headers | odd):
        answer, body = server.ask("/ws", headers=headers)
        assert (answer.status, json.loads(body)["error"]["code"]) == (400, "NO_WEBSOCKET")


def test_the_api_refuses_websockets(api):
    refused = api.app.test_client().get("/ws", headers=api.person().headers)
    assert refused.status_code == 421


def test_compression_is_not_taken_up(api, server):
    header = [*(f"{name}: {value}" for name, value in api.person().headers.items())]
    header.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    with Socket(server, header=header) as opened:
        assert "sec-websocket-extensions" not in opened.connection.headers
        assert opened.wait_for("ready")


def test_sockets_are_told_that_the_server_stops(api, start):
    server = start()
    with socket(server, api.person()) as opened:
        opened.wait_for("ready")
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert opened.close_code() == 1001
        assert time.monotonic() - began < PATIENCE
    assert server.process.wait(20) == 0
