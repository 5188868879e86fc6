"""A browser's own EventSource and WebSocket, on a page of another origin, with the example of docs/."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from devforge_api.core.db import unit_of_work
from devforge_api.core.realtime import feed
from tests import chromium
from tests.processes import free_port
from tests.realtime.conftest import realtime_server, within

pytestmark = chromium.NEEDED

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/realtime-browser.js"
PAGE = """<!doctype html><title>Site</title><script type="module">
import { watch } from "./realtime-browser.js";
window.told = [];
window.begin = (api, token) => {
  window.stop = watch(api, async () => token, (message) => window.told.push(message));
};
window.converse = (url) => {
  const socket = new WebSocket(url);
  socket.onmessage = (event) => window.told.push(JSON.parse(event.data));
  socket.onclose = (event) => window.told.push({ type: "closed", code: event.code });
  window.socket = socket;
};
window.ready = true;
</script>"""


browser = pytest.fixture(scope="module")(chromium.launched)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A page of another origin."""
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / EXAMPLE.name).write_text(EXAMPLE.read_text())
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def stage(make_api, environ, tmp_path, site):
    """An API that the site may call, and the realtime process beside it."""
    port = free_port()
    with realtime_server(environ, tmp_path, CORS_ORIGINS=site) as server:
        address = f"http://127.0.0.1:{port}"
        api = make_api(
            DEVFORGE_CORS_ORIGINS=site, DEVFORGE_REALTIME_URL=server.url, DEVFORGE_PUBLIC_URL=address
        )
        serving = make_server("127.0.0.1", port, api.app, threaded=True)
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield api, f"{address}/api/v1", server
        serving.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(site)
    page.wait_for_function("window.ready")
    yield page
    page.close()


def tell(api, person, number):
    with api.app.app_context(), unit_of_work():
        feed.append([person.id], "notification", {"number": number})


def told(page, type_):
    return [one for one in page.evaluate("window.told") if one["type"] == type_]


def test_a_page_is_told_what_happens_and_what_it_has_missed(page, stage):
    api, address, server = stage
    ada = api.person()
    page.evaluate("([api, token]) => window.begin(api, token)", [address, ada.access_token])
    page.wait_for_function("window.told.some((one) => one.type === 'ready')")
    tell(api, ada, 1)
    page.wait_for_function("window.told.some((one) => one.data?.number === 1)")
    (worker,) = server.workers()
    import os

    os.kill(worker, 9)  # the page's stream breaks; its ticket is used
    tell(api, ada, 2)
    assert within(40, lambda: server.workers() not in ([], [worker]) and server.is_answering())
    tell(api, ada, 3)
    page.wait_for_function("window.told.some((one) => one.data?.number === 3)", timeout=60_000)
    assert [one["data"]["number"] for one in told(page, "notification")] == [1, 2, 3]
    api.post("/auth/logout", by=ada)
    api.deliver()
    page.wait_for_function("window.told.some((one) => one.data?.code === 'TOKEN_REVOKED')")


def test_a_page_converses(page, stage):
    api, _, _server = stage
    ada = api.person()
    urls = [api.post("/realtime/tickets", by=ada).json["data"]["ws_url"] for _ in range(2)]
    page.evaluate("(url) => window.converse(url)", urls[0])
    page.wait_for_function("window.told.some((one) => one.type === 'ready')")
    tell(api, ada, 1)
    page.wait_for_function("window.told.some((one) => one.data?.number === 1)")
    page.evaluate("window.socket.send(JSON.stringify({type: 'ping'}))")
    page.wait_for_function("window.told.some((one) => one.type === 'pong')")
    page.evaluate("window.socket.send('x'.repeat(5000))")
    page.wait_for_function("window.told.some((one) => one.code === 1009)")
    assert json.dumps(told(page, "closed"))
