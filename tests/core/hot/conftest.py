"""A hot route has two ways, in front of Flask and through it: each request is sent both ways."""

import gzip
import logging
import re
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

import pytest

from devforge_api.app import create_app
from devforge_api.core import gateway, hot, metrics
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses import queries
from devforge_api.licenses.service import lifecycle
from tests.core.hot.ways import ID
from tests.factories import Api

BIG = {"note": "x" * 3000}
# What differs between any two answers: the moment, and the request's id where none was given.
MOMENT = re.compile(rb'"ts":"[^"]+"')


@pytest.fixture(scope="module")
def through_flask(shared_app):
    """The same application, without hot routes."""
    app = create_app(shared_app.extensions["test-environ"], HOT_ROUTES=False)
    assert not isinstance(app.wsgi_app, hot.HotRoutes)
    yield Api(app)
    with app.app_context():
        db.engine.dispose()


class Seen:
    """What an application made of a request."""

    def __init__(self):
        self.log, self.metrics, self.in_front = [], [], True

    @contextmanager
    def of(self, app):
        handler = logging.Handler()
        handler.emit = lambda record: self.log.append(
            (record.levelname, record.getMessage(), {**vars(record), **_caller()})
        )
        level = gateway.log.level
        gateway.log.setLevel(logging.INFO)
        kept, ordinary = metrics.observe, getattr(app.wsgi_app, "_ordinary", None)

        def pass_on(environ, start_response):
            self.in_front = False
            return ordinary(environ, start_response)

        def observe(method, route, status, seconds):
            self.metrics.append((method, route, status))
            kept(method, route, status, seconds)

        gateway.log.addHandler(handler)
        if ordinary:
            app.wsgi_app._ordinary = pass_on
        try:
            with patch.object(metrics, "observe", observe):
                yield
        finally:
            gateway.log.removeHandler(handler)
            gateway.log.setLevel(level)
            if ordinary:
                app.wsgi_app._ordinary = ordinary

    def lines(self):
        names = ("method", "route", "status", "address", "caller")
        return [(level, text, *(fields.get(name) for name in names)) for level, text, fields in self.log]


def _caller():
    now = gateway.occasion()
    caller = now.principal
    return {"caller": (now.request_id, now.user_agent, caller and caller.user_id)}


def headers_of(answer):
    """All of them, in their order; when a window ends, and what compression gains, is left to the moment."""
    varying = {"RateLimit-Reset", "Retry-After"}
    if answer.headers.get("Content-Encoding"):
        varying |= {"Content-Length"}
    return [(name, value) for name, value in answer.headers if name not in varying]


def body_of(answer):
    packed = answer.headers.get("Content-Encoding") == "gzip"
    return MOMENT.sub(b"", gzip.decompress(answer.data) if packed else answer.data)


def forget_counts(*apis):
    for each in apis:
        state = each.app.extensions["devforge-limits"]
        state.shared.storage.reset()
        state.local.storage.reset()


@pytest.fixture
def both_ways(api, through_flask):
    """Send a request both ways, and see that nothing tells them apart; the answer, and what was seen."""

    def send(path, *, method="GET", headers=None, apis=(api, through_flask), **request):
        found = []
        for each in apis:
            forget_counts(*apis)
            seen = Seen()
            with seen.of(each.app):
                answer = each.app.test_client().open(
                    path, method=method, headers={"X-Request-ID": ID, **(headers or {})}, **request
                )
            found.append((answer, seen))
        (short, seen), (long, ordinary) = found
        assert short.status == long.status
        assert body_of(short) == body_of(long)
        assert headers_of(short) == headers_of(long)
        assert seen.metrics == ordinary.metrics
        assert seen.lines() == ordinary.lines()
        assert len(seen.metrics) == 1
        return short, seen

    return send


@pytest.fixture
def licenses(api):
    """One licence of every state."""
    owner, policy = api.person(), {"entitlements": [], "max_machines": 2, "strict": False}
    found = {
        "good": api.license(policy=policy),
        "owned": api.license(owner=owner, policy=policy),
        "strict": api.license(policy={**policy, "strict": True}),
        "expired": api.license(policy=policy, expires_at=utc_now() - timedelta(days=1)),
        "big": api.license(policy=policy, metadata=BIG),
        "suspended": api.license(policy=policy),
        "banned": api.license(owner=(banned := api.person()), policy=policy),
    }
    with api.app.app_context(), unit_of_work():
        lifecycle.suspend(queries.get_license(found["suspended"].id, owner_id=None, for_update=True))
    api.ban(banned.id)
    api.post("/licenses/activate", {"key": found["good"].key, "fingerprint": "m1"})
    return found
