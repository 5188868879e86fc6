"""Tickets: single use, a minute, and the end with the session that asked for them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.errors import TokenRevoked
from devforge_api.notifications.errors import TicketInvalid
from devforge_api.notifications.models import RealtimeTicket
from devforge_api.notifications.service import tickets
from tests.factories import V1, code_of
from tests.realtime.client import Socket, Window, window


def ask(api, person):
    made = api.post("/realtime/tickets", by=person)
    assert made.status_code == 201, made.json
    return made.json["data"]


def query(made):
    return f"?ticket={made['ticket']}"


def test_a_ticket_names_the_addresses_that_it_opens(make_api):
    api = make_api(DEVFORGE_REALTIME_URL="https://live.example.com/")
    asked = api.post("/realtime/tickets", by=api.person())
    made = asked.json["data"]
    assert made["stream_url"] == f"https://live.example.com{V1}/realtime/stream{query(made)}"
    assert made["ws_url"] == f"wss://live.example.com/ws{query(made)}"
    assert asked.headers["Cache-Control"] == "no-store"
    left = (utc_now() + tickets.LIFETIME).isoformat()
    assert made["expires_at"] <= left


def test_the_database_does_not_know_a_ticket_itself(api):
    made = ask(api, api.person())
    with api.app.app_context():
        (row,) = db.session.scalars(select(RealtimeTicket))
        assert made["ticket"] not in {str(value) for value in vars(row).values()}


def test_a_ticket_opens_one_stream(api, server):
    made = ask(api, api.person())
    with Window(server.port, query(made)) as opened:
        assert opened.status == 200
        opened.wait_for("ready")
        for _ in range(2):
            with Window(server.port, query(made)) as again:
                assert (again.status, again.refusal()) == (401, "TICKET_INVALID")


def test_a_ticket_opens_a_websocket_as_well(api, server):
    ada = api.person()
    with Socket(server, query(ask(api, ada))) as opened:
        assert opened.wait_for("ready")


def test_of_many_who_come_at_once_with_one_ticket_one_gets_in(api, server):
    made = ask(api, api.person())

    def come(_):
        with Window(server.port, query(made)) as opened:
            return opened.status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(come, range(8))) == [200] + [401] * 7


def test_of_many_transactions_with_one_ticket_one_uses_it(api):
    for _ in range(5):
        made = ask(api, api.person())

        def use(_, made=made):
            with api.app.app_context():
                try:
                    with unit_of_work():
                        return tickets.redeem(made["ticket"]).user_id
                except TicketInvalid:
                    return None

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(use, range(8))).count(None) == 7


def test_a_ticket_is_good_for_a_minute(api, context):
    made = ask(api, api.person())
    with unit_of_work():
        late = utc_now() - timedelta(seconds=1)
        db.session.execute(update(RealtimeTicket).values(expires_at=late))
    with pytest.raises(TicketInvalid), unit_of_work():
        tickets.redeem(made["ticket"])
    with unit_of_work():
        assert tickets.purge_expired(utc_now()) == 1


@pytest.mark.parametrize("ticket", ["unknown", "x" * 100, "%F0%9F%8E%AB", "' OR 1=1 --".replace(" ", "%20")])
def test_what_is_no_ticket_opens_nothing(api, server, ticket):
    with Window(server.port, f"?ticket={ticket}") as refused:
        assert (refused.status, refused.refusal()) == (401, "TICKET_INVALID")


def test_a_token_counts_before_a_ticket_which_stays_good(api, server):
    ada, bob = api.person(), api.person()
    made = ask(api, bob)
    with Window(server.port, query(made), **ada.headers) as opened:
        assert opened.status == 200
    with Window(server.port, query(made)) as opened:
        assert opened.status == 200


def test_a_ticket_ends_with_the_session_that_asked_for_it(api, server):
    ada = api.person()
    made = ask(api, ada)
    api.post("/auth/logout", by=ada)
    with Window(server.port, query(made)) as refused:
        assert (refused.status, refused.refusal()) == (401, "TOKEN_REVOKED")


def test_a_ticket_ends_with_the_tool_s_token_that_asked_for_it(api, context):
    ada = api.reauthenticated(api.person())
    tool = {"name": "Tool", "scopes": ["realtime:read"]}
    token = api.post("/auth/tokens", tool, by=ada).json["data"]
    headers = {"Authorization": f"Bearer {token['token']}"}
    good, bad = (api.post("/realtime/tickets", headers=headers).json["data"] for _ in range(2))
    with unit_of_work():
        found = tickets.redeem(good["ticket"])
    assert (found.user_id, found.session_id, found.scopes) == (ada.id, None, {"realtime:read"})
    assert str(found.token_id) == token["id"]
    api.delete(f"/auth/tokens/{token['id']}", by=ada)
    with pytest.raises(TokenRevoked), unit_of_work():
        tickets.redeem(bad["ticket"])


def test_a_ticket_of_a_banned_user_opens_nothing(api, context):
    ada = api.person()
    made = ask(api, ada)
    api.ban(ada.id)
    with pytest.raises(TokenRevoked), unit_of_work():
        tickets.redeem(made["ticket"])


def test_a_ticket_is_not_used_up_where_no_streams_are_served(api, server):
    made = ask(api, api.person())
    refused = api.get(f"/realtime/stream{query(made)}")
    assert (refused.status_code, code_of(refused)) == (421, "MISDIRECTED_REQUEST")
    with Window(server.port, query(made)) as opened:
        assert opened.status == 200


def test_guessing_is_limited(api, start):
    server = start(LIMIT_ANONYMOUS="5")
    codes = []
    for number in range(7):
        with Window(server.port, f"?ticket=guess{number}") as refused:
            codes.append(refused.status)
    assert codes == [401] * 5 + [429] * 2


def test_a_ticket_stands_in_no_log(api, start):
    server = start(LOG_LEVEL="INFO")
    ada = api.person()
    made = ask(api, ada)
    with Window(server.port, query(made)) as opened:
        opened.wait_for("ready")
    with window(server, ada):
        pass
    server.exchange(f"GET {urlsplit(made['stream_url']).path}{query(made)} HTTP/9.9\r\n\r\n".encode())
    server.exchange(f"GET /ws{query(made)} HTTP/1.1\r\nHost : x\r\n\r\n".encode())
    assert b"/realtime/stream" in server.log.read_bytes()
    assert made["ticket"].encode() not in server.log.read_bytes()
