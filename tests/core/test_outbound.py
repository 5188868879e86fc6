"""Calls to strangers' addresses: none leads into our own network, and none lasts."""

import ipaddress
import ssl
import threading

import pytest
import requests

from devforge_api.core import outbound
from devforge_api.core.errors import Unavailable
from devforge_api.core.outbound import DestinationRefused, is_public
from tests.core import smtp
from tests.receiver import dripping, receiver

PUBLIC, METADATA = "93.184.215.14", "169.254.169.254"


@pytest.fixture
def context(app):
    with app.app_context():
        yield


@pytest.fixture
def local_context(make_api):
    """An application that may call this machine."""
    with make_api(DEVFORGE_LOCAL_DESTINATIONS="loopback").app.app_context():
        yield


@pytest.fixture
def names(monkeypatch):
    """What names mean: a list of addresses for each lookup, the last one for all that follow."""
    known = {}
    asked = []

    def resolve(host, port):
        asked.append(host)
        answers = known[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    monkeypatch.setattr(outbound, "resolve", resolve)
    known["asked"] = asked
    return known


@pytest.fixture
def dialled(monkeypatch):
    """The addresses to which connections were tried; each is refused."""
    seen = []

    def connect(address, timeout):
        seen.append(address)
        raise ConnectionRefusedError("nobody is there")

    monkeypatch.setattr(outbound.socket, "create_connection", connect)
    return seen


def refusal(call):
    with pytest.raises(DestinationRefused) as caught:
        call()
    return caught.value.reason


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "168.63.129.16", "169.254.169.254",
        "172.16.0.1", "192.0.0.9", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
        "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1",
        "64:ff9b:1::1", "100::1", "2001:0:1::1", "2001:2::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::",
        "2002:808:808::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_the_internets(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", PUBLIC, "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://[::ffff:127.0.0.1]/", "address"),
        ("https://[::1]/", "address"),
        ("https://[::]/", "address"),
        ("https://[fe80::1%25eth0]/", "malformed"),
        ("https://localhost/", "address"),
        ("https://localhost./", "address"),
        ("https://127.0.0.1/", "address"),
        ("https://169.254.169.254/latest/meta-data/", "address"),
        ("https://2130706433/", "malformed"),
        ("https://134744072/", "malformed"),
        ("https://0x7f000001/", "malformed"),
        ("https://0x7f.1/", "malformed"),
        ("https://0177.0.0.1/", "malformed"),
        ("https://127.1/", "malformed"),
        ("https://0/", "malformed"),
        ("https://user:password@example.com/", "userinfo"),
        ("https://user@example.com/", "userinfo"),
        ("https://@example.com/", "userinfo"),
        ("http://example.com/", "scheme"),
        ("ftp://example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("//example.com/", "scheme"),
        ("https://", "malformed"),
        ("https://example.com:99999/", "malformed"),
        ("https://example.com\\@127.0.0.1/", "malformed"),
        ("https://exa mple.com/", "malformed"),
        ("https://example.com\r\nHost: inside/", "malformed"),
        ("https://exämple.com/", "malformed"),
        ("https://%6cocalhost/", "malformed"),
        ("https://a..b/", "malformed"),
    ],
)
def test_urls_that_are_refused_when_they_are_given_and_when_they_are_called(context, url, reason, dialled):
    assert refusal(lambda: outbound.check_url(url)) == reason
    # The library refuses some itself before it asks ours.
    with pytest.raises((requests.RequestException, UnicodeError)), outbound.session() as session:
        session.post(url, data=b"{}")
    assert dialled == []


@pytest.mark.parametrize("port", [22, 25, 80, 993])
def test_ports_of_other_protocols_are_refused(context, names, port):
    names["example.com"] = [[PUBLIC]]
    assert refusal(lambda: outbound.check_url(f"https://example.com:{port}/")) == "port"


@pytest.mark.parametrize("port", ["", ":443", ":1024", ":8443"])
def test_a_public_address_is_taken(context, names, port):
    names["example.com"] = [[PUBLIC, "2606:4700::1111"]]
    outbound.check_url(f"https://example.com{port}/hook?a=b")


def test_one_inner_address_among_public_ones_is_enough_for_a_refusal(context, names, dialled):
    names["example.com"] = [[PUBLIC, "10.0.0.1"]]
    assert refusal(lambda: outbound.check_url("https://example.com/")) == "address"
    assert refusal(lambda: outbound.session().post("https://example.com/")) == "address"
    assert dialled == []


def test_a_name_without_addresses_is_refused_in_the_same_words_as_an_inner_one(context, monkeypatch):
    said = []
    for answer in (lambda *_: ["10.0.0.1"], lambda *_: [], _fails):
        monkeypatch.setattr(outbound, "resolve", answer)
        with pytest.raises(DestinationRefused) as caught:
            outbound.check_url("https://example.com/")
        said.append((caught.value.reason, str(caught.value)))
    assert len(set(said)) == 1


def _fails(*_):
    raise OSError("no such name")


def test_a_name_that_means_something_else_a_moment_later_is_refused_then(context, names, dialled):
    names["rebinding.example"] = [[PUBLIC], [METADATA]]
    outbound.check_url("https://rebinding.example/")
    assert refusal(lambda: outbound.session().post("https://rebinding.example/", data=b"{}")) == "address"
    assert dialled == []


def test_a_call_resolves_once_and_connects_to_what_was_looked_at(context, names, dialled):
    names["rebinding.example"] = [[PUBLIC], [METADATA]]
    with pytest.raises(requests.ConnectionError):
        outbound.session().post("https://rebinding.example/", data=b"{}")
    assert names["asked"] == ["rebinding.example"]
    assert dialled == [(PUBLIC, 443)]


def test_plain_http_is_for_this_machine_alone(local_context, names):
    names["here.example"], names["there.example"] = [["127.0.0.1"]], [[PUBLIC]]
    outbound.check_url("http://here.example:8080/")
    outbound.check_url("https://here.example/")
    assert refusal(lambda: outbound.check_url("http://there.example/")) == "scheme"
    names["both.example"] = [["127.0.0.1", PUBLIC]]
    assert refusal(lambda: outbound.check_url("https://both.example/")) == "address"
    names["inside.example"] = [["10.0.0.1"]]
    assert refusal(lambda: outbound.check_url("https://inside.example/")) == "address"


def test_an_answer_comes_without_its_body(local_context):
    def talkative(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.end_headers()
        handler.wfile.write(b"secret of the inner network")

    with receiver() as peer, outbound.session() as session:
        peer.replies = [talkative]
        got = session.post(peer.url + "?a=b", data="ä", headers={"X-Mine": "1", "Host": "elsewhere"})
    assert (got.status_code, got.content, got.text) == (200, b"", "")
    assert got.headers["content-type"] == "text/plain"
    (request,) = peer.received
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=b", "ä".encode())
    assert request.headers["host"] == f"127.0.0.1:{peer.port}"
    assert request.headers["x-mine"] == "1"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_answer_and_causes_no_request(local_context, status):
    with receiver() as elsewhere, receiver() as peer:
        peer.always = (status, {"Location": elsewhere.url})
        for allow in (True, False):
            got = outbound.session().post(peer.url, data=b"{}", allow_redirects=allow)
            assert got.status_code == status
    assert len(peer.received) == 2
    assert elsewhere.received == []


def test_nothing_of_the_environment_and_no_cookie_is_used(local_context, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login us password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with receiver() as proxy, receiver() as peer, outbound.session() as session:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        peer.always = (204, {"Set-Cookie": "a=b"})
        for _ in range(2):
            session.post(peer.url, data=b"{}", proxies={"http": f"http://127.0.0.1:{proxy.port}"})
    assert proxy.received == []
    assert len(peer.received) == 2
    for request in peer.received:
        assert not {"authorization", "cookie"} & set(request.headers)


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 60000,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"a" * 60000,
    ],
    ids=["headers without end", "promises without end", "a body without end"],
)
def test_a_server_that_sends_a_byte_now_and_then_is_cut_off(local_context, text):
    with dripping(text, pause=0.01) as url, pytest.raises(requests.Timeout):
        outbound.session(timeout=0.5).post(url, data=b"{}")
    assert _ends(lambda: not any(one.name == "devforge-outbound" for one in threading.enumerate()))


def _ends(condition):
    """Whether something comes true."""
    over = threading.Event()
    return any(condition() or over.wait(0.02) for _ in range(1500))


def test_a_server_that_says_nothing_is_cut_off(local_context):
    stalled = threading.Event()
    with receiver() as peer:
        peer.always = lambda handler: stalled.wait(30)
        with pytest.raises(requests.Timeout):
            outbound.session(timeout=0.3).post(peer.url, data=b"{}")
        stalled.set()


def test_a_resolver_that_hangs_is_not_waited_for(context, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(outbound, "RESOLVE_SECONDS", 0.1)
    monkeypatch.setattr(outbound, "resolve", lambda *_: over.wait(30) and [])
    try:
        assert refusal(lambda: outbound.check_url("https://slow.example/")) == "address"
        with pytest.raises(requests.Timeout):
            outbound.session(timeout=0.1).post("https://slow.example/")
        for _ in range(15):
            refusal(lambda: outbound.check_url("https://slow.example/"))
        with pytest.raises(Unavailable):  # instead of ever more threads
            outbound.check_url("https://slow.example/")
    finally:
        over.set()
    monkeypatch.setattr(outbound, "resolve", lambda *_: [PUBLIC])
    assert _ends(lambda: _is_taken("https://fast.example/"))


def _is_taken(url):
    try:
        outbound.check_url(url)
    except Unavailable:
        return False
    return True


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return smtp.make_certificate(tmp_path_factory.mktemp("tls"), host="localhost")


@pytest.fixture
def trusting(certificates, monkeypatch):
    """The test's own authority is trusted, as one of the system's would be."""
    ours = ssl.create_default_context(cafile=certificates[0])
    monkeypatch.setattr(outbound, "tls_context", lambda: ours)


@pytest.mark.usefixtures("trusting")
def test_a_certificate_must_be_for_the_name_that_was_called(local_context, names, certificates):
    names["localhost"] = names["other.example"] = [["127.0.0.1"]]
    with receiver(smtp.context(certificates[1])) as peer:
        good = outbound.session().post(f"https://localhost:{peer.port}/", data=b"{}")
        with pytest.raises(requests.exceptions.SSLError):
            outbound.session().post(f"https://other.example:{peer.port}/", data=b"{}")
        with pytest.raises(requests.exceptions.SSLError):
            outbound.session().post(f"https://other.example:{peer.port}/", data=b"{}", verify=False)
    assert good.status_code == 204
    assert [request.headers["host"] for request in peer.received] == [f"localhost:{peer.port}"]


def test_a_certificate_of_nobodys_is_refused(local_context, certificates):
    with receiver(smtp.context(certificates[1])) as peer, pytest.raises(requests.exceptions.SSLError):
        outbound.session().post(peer.url, data=b"{}")
    assert peer.received == []


def test_the_next_address_is_tried_where_one_is_out_of_order(local_context, names):
    with receiver() as peer:
        names["two.example"] = [["127.0.0.2", "127.0.0.1"]]
        assert outbound.session().post(f"http://two.example:{peer.port}/", data=b"{}").status_code == 204


def test_a_name_with_thousands_of_dead_addresses_is_given_up_with_its_call(context, names, monkeypatch):
    tried, over = [], threading.Event()

    def connect(address, timeout):
        tried.append(address)
        over.wait(0.1)
        raise TimeoutError

    monkeypatch.setattr(outbound.socket, "create_connection", connect)
    names["many.example"] = [[f"93.184.{high}.{low}" for high in range(16) for low in range(250)]]
    with pytest.raises(requests.Timeout):
        outbound.session(timeout=0.3).post("https://many.example/", data=b"{}")
    assert _ends(lambda: not any(one.name == "devforge-outbound" for one in threading.enumerate()))
    assert len(tried) < 4000


def test_what_is_no_http_is_a_failure(local_context):
    with dripping(b"220 mail.example ESMTP\r\n", pause=0) as url, pytest.raises(requests.ConnectionError):
        outbound.session().post(url, data=b"{}")
