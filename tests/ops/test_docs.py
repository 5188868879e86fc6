"""The documentation page: packaged files alone, under a policy that allows nothing else."""

import re
from html.parser import HTMLParser

import pytest


class Page(HTMLParser):
    """What a page refers to, and what stands in it inline."""

    def __init__(self, text):
        super().__init__()
        self.references, self.inline = [], []
        self._inside = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.references += [given[name] for name in ("src", "href") if name in given]
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self._inside = tag if tag in {"script", "style"} else None

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside and data.strip():
            self.inline.append(data)


@pytest.fixture
def page(client):
    answer = client.get("/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return answer


def test_the_policy_allows_the_servers_own_files_alone(page):
    policy = dict(part.split(None, 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy.pop("img-src") == "'self' data:"  # Swagger UI's style sheet draws its icons so
    assert set(policy.values()) == {"'none'", "'self'"}
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert page.headers["X-Frame-Options"] == "DENY"


def test_nothing_stands_inline_and_nothing_comes_from_elsewhere(page):
    found = Page(page.text)
    assert found.inline == []
    assert all(re.match(r"/(?!/)", reference) for reference in found.references)


@pytest.mark.parametrize("encoding", ["", "gzip, br"])
def test_every_file_it_needs_is_served_with_its_type(client, page, encoding):
    types = {".css": "text/css", ".js": "text/javascript", ".png": "image/png"}
    references = Page(page.text).references
    assert len(references) == 4
    for reference in references:
        answer = client.get(reference, headers={"Accept-Encoding": encoding}, buffered=True)
        assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")
        assert answer.mimetype == types[reference[reference.rindex(".") :]]
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "max-age" in answer.headers["Cache-Control"]


def test_the_specification_it_loads_is_there(client, page):
    spec = re.search(r'data-spec="([^"]+)"', page.text)[1]
    answer = client.get(spec)
    assert answer.status_code == 200
    assert answer.json["openapi"].startswith("3.1")
    assert not any(path.startswith("/docs") for path in answer.json["paths"])


@pytest.mark.parametrize("name", ["missing.js", "../routes.py", "..%2froutes.py", "%2e%2e/service.py", ""])
def test_no_other_file_can_be_had(client, name):
    assert client.get(f"/docs/assets/{name}").status_code == 404


def test_a_real_server_serves_it_the_same(live_server, client):
    for path in ("/docs", "/docs/assets/init.js", "/docs/assets/swagger-ui-bundle.js"):
        answer, body = live_server.ask(path)
        assert answer.status == 200
        assert body == client.get(path, buffered=True).data
