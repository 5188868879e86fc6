import socket
import threading
from contextlib import contextmanager

import pytest
import redis

from tests.factories import PASSWORD, code_of

VALIDATE = ("/licenses/validate", {"key": "any"})
LOGIN = ("/auth/login", {"email": "nobody@example.com", "password": "wrong password"})


def statuses(api, count, path, body=None, **kwargs):
    return [api.post(path, body, **kwargs).status_code for _ in range(count)]


def test_an_address_has_so_many_anonymous_requests_a_minute(make_api):
    api = make_api(LIMIT_ANONYMOUS=3)
    answers = [api.post(*VALIDATE) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    refused = answers[-1]
    assert code_of(refused) == "RATE_LIMITED"
    assert refused.headers["RateLimit-Limit"] == "3"
    assert 1 <= int(refused.headers["RateLimit-Reset"]) <= 120
    assert 1 <= int(refused.headers["Retry-After"]) <= 120
    assert refused.json["error"]["params"]["retry_after"] == int(refused.headers["Retry-After"])
    elsewhere = api.post(*VALIDATE, environ_overrides={"REMOTE_ADDR": "203.0.113.7"})
    assert elsewhere.status_code == 200


def test_one_ipv6_network_is_one_address(make_api):
    api = make_api(LIMIT_ANONYMOUS=1)
    for address, status in (("2001:db8::1", 200), ("2001:db8::2", 429), ("2001:db8:0:1::1", 200)):
        answer = api.post(*VALIDATE, environ_overrides={"REMOTE_ADDR": address})
        assert answer.status_code == status


def test_a_user_has_a_budget_of_their_own_wherever_they_are(make_api):
    api = make_api(LIMIT_USER=2, LIMIT_ANONYMOUS=1)
    ada, grace = api.person(), api.person()
    codes = []
    for number in range(3):
        address = {"REMOTE_ADDR": f"203.0.113.{number}"}
        codes.append(api.get("/auth/me", by=ada, environ_overrides=address).status_code)
    assert codes == [200, 200, 429]
    assert api.get("/auth/me", by=grace).status_code == 200
    assert statuses(api, 2, *VALIDATE) == [200, 429]


@pytest.mark.parametrize(
    ("path", "body", "by_user"),
    [
        ("/nowhere", {}, False),
        ("/licenses/validate", {"key": 5}, False),
        ("/licenses/validate", "not an object", False),
        ("/auth/me", {}, False),  # 405
        ("/products", {}, False),  # 401
        ("/products", {}, True),  # 403
    ],
)
def test_refused_requests_are_charged_too(make_api, path, body, by_user):
    api = make_api(LIMIT_ANONYMOUS=2, LIMIT_USER=2)
    found = statuses(api, 3, path, body, by=api.person() if by_user else None)
    assert found[0] == found[1] != 429
    assert found[2] == 429


def test_rejected_tokens_are_charged_to_the_address(make_api):
    api = make_api(LIMIT_ANONYMOUS=2)
    bad = [api.get("/auth/me", headers={"Authorization": f"Bearer {token}"}) for token in ("a.b.c", "x", "")]
    assert [answer.status_code for answer in bad] == [401, 401, 429]
    assert api.get("/auth/me", by=api.person()).status_code == 200


def test_probes_and_options_are_never_charged(make_api):
    api = make_api(LIMIT_ANONYMOUS=1)
    for _ in range(3):
        assert api.client.get("/health").status_code == 200
        assert api.call("OPTIONS", "/licenses/validate").status_code == 200
    assert api.post(*VALIDATE).status_code == 200


def test_routes_that_take_a_password_have_a_budget_of_their_own(make_api):
    api = make_api(LIMIT_CREDENTIALS=2)
    assert statuses(api, 3, *LOGIN) == [401, 401, 429]
    register = {"email": "ada@example.com", "password": "staple orbit lantern"}
    assert api.post("/auth/register", register).status_code == 429
    assert api.post(*VALIDATE).status_code == 200


def test_an_account_has_so_many_failures_from_wherever_they_come(make_api):
    api = make_api(LIMIT_ACCOUNT_FAILURES=3)
    person = api.person()

    def sign_in(password, number):
        body = {"email": person.email.upper(), "password": password}
        return api.post("/auth/login", body, environ_overrides={"REMOTE_ADDR": f"203.0.113.{number}"})

    assert [sign_in("wrong password", n).status_code for n in range(3)] == [401, 401, 401]
    assert sign_in(PASSWORD, 9).status_code == 429
    other = {"email": api.person().email, "password": PASSWORD}
    assert api.post("/auth/login", other).status_code == 200


def test_a_success_forgives_the_failures_before_it(make_api):
    api = make_api(LIMIT_ACCOUNT_FAILURES=3)
    person = api.person()
    for _ in range(3):
        for password, status in (("wrong password", 401), (PASSWORD, 200)):
            body = {"email": person.email, "password": password}
            assert api.post("/auth/login", body).status_code == status


@pytest.mark.production_column("without Redis there is one web process")
def test_all_processes_share_one_budget(make_api):
    first, second = make_api(LIMIT_ANONYMOUS=2), make_api(LIMIT_ANONYMOUS=2)
    answers = [api.post(*VALIDATE).status_code for api in (first, second, first, second)]
    assert answers == [200, 200, 429, 429]


@contextmanager
def black_hole():
    """A server that accepts connections and never answers; tells how many came."""
    met = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:

        def accept():
            while True:
                try:
                    met.append(listening.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{listening.getsockname()[1]}", met
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in met:
                connection.close()


@contextmanager
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    yield f"redis://127.0.0.1:{port}", None


@pytest.mark.parametrize("broken", [black_hole, closed_port])
def test_without_redis_ordinary_routes_are_counted_here_and_credentials_refused(make_api, broken):
    with broken() as (url, _):
        api = make_api(DEVFORGE_REDIS_URL=url, LIMIT_ANONYMOUS=3)
        assert statuses(api, 5, *VALIDATE) == [200, 200, 200, 429, 429]
        person = api.person()
        assert api.get("/auth/me", by=person).status_code == 200
        for body in (LOGIN[1], {"email": person.email, "password": PASSWORD}):
            refused = api.post("/auth/login", body)
            assert (refused.status_code, code_of(refused)) == (503, "SERVICE_UNAVAILABLE")
            assert int(refused.headers["Retry-After"]) >= 1


def test_a_redis_that_never_answers_is_not_asked_by_every_request(make_api):
    with black_hole() as (url, met):
        api = make_api(DEVFORGE_REDIS_URL=url)
        person = api.person()
        for _ in range(30):
            assert api.get("/auth/me", by=person).status_code == 200
        asked = len(met)
    assert asked < 30  # limits and revocation would each have asked that often


@pytest.mark.production_column("needs Redis")
def test_limits_return_to_redis_when_it_does(make_api, environ):
    api = make_api(LIMIT_ANONYMOUS=1000)
    breaker = api.app.extensions["devforge-redis"].breaker
    breaker.trip()
    assert api.post(*LOGIN).status_code == 503
    breaker.reset()
    assert api.post(*LOGIN).status_code == 401
    with redis.Redis.from_url(environ["DEVFORGE_REDIS_URL"]) as client:
        assert client.keys("devforge:limits*")
