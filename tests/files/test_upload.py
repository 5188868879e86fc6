"""Taking files in: what is taken, under which name, and how far it is read."""

import hashlib
import io

import pytest
from sqlalchemy import func, select

from devforge_api.core.db import db
from devforge_api.files.models import File
from devforge_api.files.service.kinds import identify
from tests.factories import code_of
from tests.files.samples import HTML, PDF, SVG, TEXT, picture, png_header, upload


def count(api):
    with api.app.app_context():
        return db.session.scalar(select(func.count()).select_from(File))


def test_a_document_is_available_at_once_and_comes_back_as_it_was(api):
    ada = api.person()
    answer = upload(api, PDF, "plan.pdf", by=ada)
    assert answer.status_code == 201, answer.json
    file = answer.json["data"]
    assert answer.headers["Location"] == f"/api/v1/files/{file['id']}"
    assert (file["status"], file["name"], file["media_type"]) == ("available", "plan.pdf", "application/pdf")
    assert (file["size"], file["counted_size"]) == (len(PDF), len(PDF))
    assert file["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert file["purpose"] == "attachment"
    assert api.get(f"/files/{file['id']}/content", by=ada).data == PDF


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (picture("PNG"), "a.png", "image/png"),
        (picture("JPEG"), "a.jpeg", "image/jpeg"),
        (picture("GIF"), "a.gif", "image/gif"),
        (picture("WEBP"), "a.webp", "image/webp"),
        (PDF, "a.pdf", "application/pdf"),
        (b"PK\x03\x04" + bytes(40), "tool.vsix", "application/zip"),
        (b"PK\x05\x06" + bytes(18), "empty.zip", "application/zip"),
        (b"\x1f\x8b\x08\x00" + bytes(20), "log.tar.gz", "application/gzip"),
        (TEXT, "notes.md", "text/plain"),
        (b"\xef\xbb\xbfa;b\n", "table.csv", "text/plain"),
        (b'{"a": 1}', "a.json", "text/plain"),
        (b"\x1b[31mred\x1b[0m\n", "build.log", "text/plain"),
        (SVG, "logo.svg", "image/svg+xml"),
        (b"<!-- a -->\n<svg xmlns='x'></svg>", "logo.svg", "image/svg+xml"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">\n]>\n<svg ></svg>', "logo.svg", "image/svg+xml"),
        (HTML, "page.html", "text/html"),
        (b"<!-- a --> <!-- b --><br>", "page.html", "text/html"),
        (b"  <SCRIPT >alert(1)</script>", "page.txt", "text/html"),
    ],
)
def test_what_a_file_is_its_bytes_tell(api, content, name, media_type):
    answer = upload(api, content, name, by=api.person(), headers={"X-Ignored": "1"})
    assert answer.status_code == 201, answer.json
    assert answer.json["data"]["media_type"] == media_type
    assert answer.json["data"]["status"] == "available"


@pytest.mark.parametrize("start", [b"", b"<?xml?>", b"<!doctype svg>"])
def test_hundreds_of_comments_are_read_in_one_way_only(start):
    text = start + b"<!---->" * 500  # in 2^499 ways, a reader that goes back would find
    assert identify(io.BytesIO(text + b"x")) == "text/plain"
    assert identify(io.BytesIO(text + b"<svg>")) == "image/svg+xml"


@pytest.mark.parametrize(
    "content",
    [
        b"MZ\x90\x00" + bytes(100),
        b"\x7fELF" + bytes(100),
        b"text with a \0 in it",
        b"latin-1: \xe4\xf6",
        b"cut off in a letter: \xc3",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"BM" + bytes(60),
        b"leading bytes " + picture("PNG"),
    ],
    ids=["exe", "elf", "NUL", "latin-1", "half a letter", "wav", "bmp", "a picture behind text"],
)
def test_other_types_are_refused_whatever_they_are_called(api, content):
    ada = api.person()
    for name in ("a.txt", "a.png", "a"):
        refused = upload(api, content, name, by=ada)
        assert (refused.status_code, code_of(refused)) == (422, "FILE_TYPE_REFUSED")
    assert count(api) == 0


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (HTML, "cat.png"),
        (SVG, "cat.jpg"),
        (TEXT, "cat.GIF"),
        (TEXT, "cat.webp. "),
        (PDF, "cat.tiff"),
        (picture("PNG"), "plan.pdf"),
        (HTML, "plan.zip"),
        (TEXT, "page.ht\u200bml"),  # would be kept as page.html
        (TEXT, "plan.pdf\u00ad"),
    ],
)
def test_a_name_that_says_something_else_than_the_bytes_is_refused(api, content, name):
    refused = upload(api, content, name, by=api.person())
    assert (refused.status_code, code_of(refused)) == (422, "FILE_TYPE_REFUSED")


def test_one_picture_that_is_called_like_another_one_gets_its_right_name(api):
    answer = upload(api, picture("PNG"), "cat.jpg", by=api.person())
    assert answer.json["data"]["name"] == "cat.png"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("/etc/shadow.txt", "shadow.txt"),
        ("....", "file.txt"),
        ("invoice\u202efdp.txt", "invoicefdp.txt"),
        ("a\x07b\x1b[2J\u200b: x=1.txt", "ab[2J_ x=1.txt"),
        ('q"uo<te>|.txt', "q_uo_te__.txt"),
        ("CON.txt", "_CON.txt"),
        ("nul", "_nul"),
        ("com1.log", "_com1.log"),
        ("x" * 400 + ".txt", "x" * 146 + ".txt"),
        ("ü" * 300 + ".md", "ü" * 118 + ".md"),
        ("u\u0308.txt", "ü.txt"),
        ("  spaced   out .txt ", "spaced out.txt"),
        ("Zeugnis (2).txt", "Zeugnis (2).txt"),
    ],
)
def test_names_are_made_harmless(api, kept, name):
    answer = upload(api, b"hello", name, by=api.person())
    assert answer.status_code == 201, answer.json
    assert answer.json["data"]["name"] == kept


def test_without_a_name_it_is_called_by_what_it_is(api):
    data = b'--X\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n%PDF-1.7\r\n--X--\r\n'
    ada = api.person()
    answer = api.call("POST", "/files", by=ada, data=data, content_type="multipart/form-data; boundary=X")
    assert answer.json["data"]["name"] == "file.pdf"


def test_the_key_in_the_storage_tells_nothing_and_stays_inside(lone, kept):
    api = lone()
    upload(api, TEXT, "../../../escape.txt", by=api.person())
    (key,) = kept(api)
    assert len(key) == 40
    found = [
        path for path in api.app.config["DATA_DIR"].rglob("*") if path.is_file() and "escape" in path.name
    ]
    assert found == []
    (place,) = api.app.config["DATA_DIR"].rglob(key)
    assert place.parent == api.app.config["DATA_DIR"] / "files" / key[:2] / key[2:4]
    assert oct(place.stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        ({}, 422, "VALIDATION_ERROR"),
        ({"file": "not a file"}, 422, "VALIDATION_ERROR"),
        ({"file": (io.BytesIO(b""), "a.txt")}, 422, "VALIDATION_ERROR"),
        ({"other": (io.BytesIO(b"x"), "a.txt")}, 422, "VALIDATION_ERROR"),
        ({"file": (io.BytesIO(b"x"), "a.txt"), "extra": "1"}, 422, "VALIDATION_ERROR"),
        ({"file": (io.BytesIO(b"x"), "a.txt"), "purpose": "avatar"}, 422, "VALIDATION_ERROR"),
        ({"file": [(io.BytesIO(b"x"), "a.txt"), (io.BytesIO(b"y"), "b.txt")]}, 422, "VALIDATION_ERROR"),
        ({"file": (io.BytesIO(b"x"), "a.txt"), "purpose": "x" * 20_000}, 422, "VALIDATION_ERROR"),
    ],
)
def test_forms_that_are_not_one_file_are_refused(api, data, status, code):
    copied = {
        name: [(io.BytesIO(f.getvalue()), n) for f, n in value]
        if isinstance(value, list)
        else (io.BytesIO(value[0].getvalue()), value[1])
        if isinstance(value, tuple)
        else value
        for name, value in data.items()
    }  # each column sends its own
    refused = api.call("POST", "/files", by=api.person(), data=copied, content_type="multipart/form-data")
    assert (refused.status_code, code_of(refused)) == (status, code)
    assert count(api) == 0


def test_purpose_may_be_said(api):
    answer = upload(api, TEXT, by=api.person(), fields={"purpose": "attachment"})
    assert answer.status_code == 201


def test_only_forms_are_taken(api):
    refused = api.post("/files", {"file": "x"}, by=api.person())
    assert (refused.status_code, code_of(refused)) == (415, "NOT_MULTIPART")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncut off', "boundary=X"),
        (b"whatever", "boundary=X"),
        (b"whatever", ""),
    ],
)
def test_a_form_that_is_cut_short_changes_nothing(api, body, content_type):
    refused = api.call(
        "POST", "/files", by=api.person(), data=body, content_type=f"multipart/form-data; {content_type}"
    )
    assert (refused.status_code, code_of(refused)) == (400, "MALFORMED_REQUEST")
    assert count(api) == 0


@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "chunked"])
def test_more_than_the_limit_is_not_read(lone, kept, declared):
    api = lone(DEVFORGE_MAX_UPLOAD_BYTES="2000")
    ada = api.person()
    assert upload(api, b"x" * 2000, by=ada).status_code == 201

    class Endless(io.RawIOBase):
        """More and more of one file; notes how much was asked for."""

        given = 0
        head = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

        def read(self, size=-1):
            assert self.given < 1_000_000, "it reads on and on"
            self.given += size
            head, self.head = self.head, b""
            return head or b"x" * size

    body = Endless()
    by_length, in_chunks = {"CONTENT_LENGTH": "5000000"}, {"HTTP_TRANSFER_ENCODING": "chunked"}
    length = by_length if declared else {**in_chunks, "wsgi.input_terminated": True}
    refused = api.call(
        "POST", "/files", by=ada, content_type="multipart/form-data; boundary=X",
        environ_overrides={"wsgi.input": body, **length},
    )  # fmt: skip
    assert (refused.status_code, code_of(refused)) == (413, "FILE_TOO_LARGE")
    assert refused.json["error"]["params"] == {"limit": 2000}
    assert body.given <= (0 if declared else 300_000)
    assert len(kept(api)) == 1


def test_files_that_are_larger_than_other_bodies_may_be_are_taken(api):
    big = b"line of a log file\n" * 200_000  # 3.8 MB
    assert len(big) > api.app.config["MAX_BODY_BYTES"]
    ada = api.person()
    file = upload(api, big, "big.log", by=ada).json["data"]
    assert file["size"] == len(big)
    assert api.get(f"/files/{file['id']}/content", by=ada).data == big


def test_a_repetition_with_the_same_key_is_the_same_file(api):
    ada = api.person()
    key = {"headers": {"Idempotency-Key": "upload-1"}}
    first, again = (upload(api, TEXT, by=ada, **key) for _ in range(2))
    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert count(api) == 1
    for content, name in [(TEXT + b"!", "a.txt"), (TEXT, "b.txt")]:
        other = upload(api, content, name, by=ada, **key)
        assert (other.status_code, code_of(other)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert count(api) == 1


def test_a_picture_that_says_it_is_enormous_is_refused_by_its_header(api):
    refused = upload(api, png_header(50_000, 50_000), "bomb.png", by=api.person())
    assert (refused.status_code, code_of(refused)) == (422, "FILE_REJECTED")
    assert refused.json["error"]["params"]["reason"] == "too_many_pixels"
    assert count(api) == 0


def test_what_only_begins_like_a_picture_is_refused(api):
    refused = upload(api, b"\x89PNG\r\n\x1a\n" + b"x" * 500, "broken.png", by=api.person())
    assert (refused.status_code, code_of(refused)) == (422, "FILE_REJECTED")
    assert refused.json["error"]["params"] == {"reason": "unreadable_image"}
