"""Files on their way into the real server: slow ones, large ones, those that nobody may send."""

import json
from contextlib import ExitStack

import pytest

from devforge_api.files.routes import serving
from devforge_api.ops.buffering import READERS
from tests.files.samples import FORM, TEXT, form, picture
from tests.ops.conftest import read_answer, until
from tests.ops.test_server import resident, validations

WEB_THREADS = 4


def head(person, length, path="/api/v1/files", method="POST"):
    token = f"Authorization: Bearer {person.access_token}\r\n" if person else ""
    size = f"Content-Length: {length}\r\n" if length is not None else "Transfer-Encoding: chunked\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{token}Content-Type: {FORM}\r\n{size}\r\n".encode()


def files_of(api, person):
    return api.get("/files", by=person).json["data"]


def test_slow_uploads_hold_no_slot(api, live_server):
    key = api.license().key
    people = [api.person() for _ in range(WEB_THREADS + 1)]
    body = form(TEXT * 1000, "slow.txt")
    with ExitStack() as stack:
        slow = [stack.enter_context(live_server.connect()) for _ in range(3 * len(people))]
        for connection, person in zip(slow, people * 3, strict=True):
            connection.sendall(head(person, len(body)) + body[:1000])
        assert validations(live_server, key, 50) == {(200, "VALID")}
        for connection in slow:
            connection.sendall(body[1000:])
        for connection in slow:
            assert b" 201 Created" in read_answer(connection)
    assert {len(files_of(api, person)) for person in people} == {3}


def test_whoever_does_not_read_a_download_on_keeps_nobody_waiting(api, live_server):
    ada = api.person()
    headers = {**ada.headers, "Content-Type": FORM}
    body = form(b"line of a log file 1\n" * 400_000, "big.log")  # 8 MB: no buffer on the way holds it
    answer, text = live_server.ask("/api/v1/files", method="POST", body=body, headers=headers)
    assert answer.status == 201, text
    path = f"/api/v1/files/{json.loads(text)['data']['id']}/content"
    asked = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.access_token}\r\n\r\n".encode()
    with ExitStack() as stack:
        waiting = [stack.enter_context(live_server.connect()) for _ in range(WEB_THREADS + READERS + 1)]
        for connection in waiting:
            connection.sendall(asked)
        begun = [connection.recv(12) for connection in waiting]
        assert live_server.is_answering()
    assert set(begun) == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    assert begun.count(b"HTTP/1.1 200") == serving.AT_ONCE_EACH
    until(lambda: live_server.ask(path, headers=ada.headers)[0].status == 200, "no place is given back")


def test_whoever_may_not_send_is_refused_before_sending(api, live_server):
    """The body is never sent: an answer comes all the same."""
    ada = api.person()
    for person, path, method, code in [
        (None, "/api/v1/files", "POST", "TOKEN_MISSING"),
        (None, "/api/v1/users/me/avatar", "PUT", "TOKEN_MISSING"),
        (ada, "/api/v1/files", "POST", "FILE_TOO_LARGE"),
    ]:
        length = 26_000_000 if person else 25_000_000
        answer = live_server.exchange(head(person, length + 1_000_000, path, method))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == code
    assert live_server.is_answering()


@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "chunked"])
def test_a_large_file_comes_and_goes_without_being_in_memory(api, live_server, declared):
    ada = api.person()
    big = b"line of a log file 1\n" * 1_150_000  # 24 MB
    body = form(big, "big.log")
    pieces = body if declared else (body[start : start + 65536] for start in range(0, len(body), 65536))
    headers = {**ada.headers, "Content-Type": FORM}  # of an iterator, the library sends chunks
    workers = live_server.workers()
    before = {worker: resident(worker) for worker in workers}
    answer, text = live_server.ask("/api/v1/files", method="POST", body=pieces, headers=headers)
    assert answer.status == 201, text
    file = json.loads(text)["data"]
    assert file["size"] == len(big)
    answer, content = live_server.ask(f"/api/v1/files/{file['id']}/content", headers=ada.headers)
    assert (answer.status, content == big) == (200, True)
    assert answer.getheader("Content-Length") == str(len(big))
    for worker in workers:
        assert resident(worker) - before[worker] < 24, "MiB"


def test_an_upload_that_is_cut_short_changes_nothing(api, live_server):
    ada = api.person()
    body = form(TEXT * 5000, "cut.txt")
    for length, sent in [(len(body), body[:-20]), (None, b"%x\r\n%s\r\n" % (500, body[:500]))]:
        with live_server.connect() as connection:
            connection.sendall(head(ada, length) + sent)
            connection.shutdown(1)
            answer = read_answer(connection)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400"), answer
    assert files_of(api, ada) == []
    folder = api.app.config["DATA_DIR"]
    until(lambda: not any(folder.glob("tmp*")), "its bytes are left behind")


def test_an_avatar_is_put_by_the_same_way(api, live_server):
    ada = api.person()
    headers = {**ada.headers, "Content-Type": FORM}
    answer, text = live_server.ask(
        "/api/v1/users/me/avatar", method="PUT", body=form(picture(), "me.png"), headers=headers
    )
    assert answer.status == 200, text
    address = json.loads(text)["data"]["avatar_url"]
    answer, content = live_server.ask(address[address.index("/api/") :])
    assert (answer.status, content[:4]) == (200, b"\x89PNG")
