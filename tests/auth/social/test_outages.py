"""Providers that do not answer, answer slowly, or answer anything."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.wrappers import Response

from devforge_api.auth.errors import ProviderUnavailable
from devforge_api.auth.service import provider_calls
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import Unavailable
from devforge_api.core.slots import Slots
from tests.auth.social.conftest import NEXT
from tests.auth.social.peers import Browser, Peer, fragment, refused, s256, served
from tests.factories import code_of

pytestmark = pytest.mark.usefixtures("nobody_new")
ADA = {"email": "ada@example.com", "email_verified": True}
CHALLENGE = s256("x" * 43)
ANSWERS = {
    "an error": Response("no", 500),
    "a redirect": Response("", 302, headers={"Location": "https://evil.example"}),
    "html": Response("<html>", mimetype="text/html"),
    "a list": Response("[]", mimetype="application/json"),
    "huge": Response("[" + " " * 300_000 + "]", mimetype="application/json"),
    "nested": Response("[" * 100_000, mimetype="application/json"),
    "nothing": Response(""),
    "a lifetime that is no number": Response('{"expires_in": ["soon"]}', mimetype="application/json"),
    "an endless lifetime": Response('{"expires_in": 1e999}', mimetype="application/json"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token"])
def test_strange_answers_sign_nobody_in_and_break_nothing(social_with, acme, path, answer):
    acme.answers[path] = lambda _: answer
    browser = Browser(social_with())
    if path.startswith("/.well"):
        refused(browser.start(), "PROVIDER_UNAVAILABLE", 503)
        return
    told = browser.sign_in(acme, **ADA)
    assert (told.status_code, code_of(told)) in [
        (503, "PROVIDER_UNAVAILABLE"),
        (403, "PROVIDER_ANSWER_INVALID"),
    ]
    if told.status_code == 503:
        assert int(told.headers["Retry-After"]) >= 1


def test_a_client_learns_of_trouble_in_the_fragment(browser, acme):
    acme.answers["/token"] = lambda _: Response("no", 500)
    brought = acme.agree(browser.location(next=NEXT, code_challenge=CHALLENGE), **ADA)
    assert fragment(browser.back(brought)) == {"error": "temporarily_unavailable"}
    acme.answers.clear()
    brought = acme.agree(browser.location(next=NEXT, code_challenge=CHALLENGE), aud="another")
    assert fragment(browser.back(brought)) == {"error": "server_error"}


@pytest.fixture
def black_hole():
    """A host that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def lost(social_with, peers, black_hole, monkeypatch):
    """An application whose provider is in a black hole; it waits less long than usual."""
    monkeypatch.setattr(provider_calls, "READ_SECONDS", 0.3)
    settings = peers.settings()
    monkeypatch.setattr(Peer, "issuer", black_hole)
    settings["acme"] = peers.settings()["acme"]
    return social_with(IDENTITY_PROVIDERS=settings)


def test_a_black_holed_provider_is_given_up_and_those_who_wait_for_it_wait_once(lost, monkeypatch):
    fetches = []
    genuine = provider_calls.ProviderSession.request

    def counted(self, *args, **kwargs):
        fetches.append(args)
        return genuine(self, *args, **kwargs)

    monkeypatch.setattr(provider_calls.ProviderSession, "request", counted)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: Browser(lost).start(), range(8)))
    for answer in answers:
        refused(answer, "PROVIDER_UNAVAILABLE", 503)
    assert len(fetches) < 8


def test_while_a_provider_does_not_answer_the_slot_serves_others(lost):
    slots = Slots(1)
    others = []

    def other(_):
        with slots:
            others.append(1)

    with lost.app_context(), ThreadPoolExecutor(1) as pool, slots:
        with provider_calls.calling_out():
            pool.submit(other, 0).result()
        assert others == [1]


def test_only_so_many_wait_for_providers_at_once(lost):
    with lost.app_context():
        taken = [provider_calls.calling_out() for _ in range(provider_calls.CALLS_AT_ONCE)]
        for one in taken:
            one.__enter__()
        try:
            with pytest.raises(Unavailable), provider_calls.calling_out():
                pass
        finally:
            for one in taken:
                one.__exit__(None, None, None)
        with provider_calls.calling_out():
            pass


def test_no_provider_is_called_in_a_transaction(lost):
    with lost.app_context(), unit_of_work(), pytest.raises(RuntimeError), provider_calls.calling_out():
        pass


def test_an_answer_that_drips_is_given_up(social, monkeypatch):
    monkeypatch.setattr(provider_calls, "WHOLE_SECONDS", 0.2)

    def drip(_environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        while True:
            yield b" "
            time.sleep(0.02)

    given_up = pytest.raises(ProviderUnavailable)
    with served(drip) as address, social.app_context(), given_up, provider_calls.calling_out():
        provider_calls.fetch_json(address)


def test_no_password_of_a_netrc_file_is_sent_to_a_provider(social, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen = []

    def note(environ, start_response):
        seen.append(environ.get("HTTP_AUTHORIZATION"))
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b"{}"]

    with served(note) as address, social.app_context(), provider_calls.calling_out():
        provider_calls.fetch_json(address)
    assert seen == [None]
