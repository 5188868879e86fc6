"""Letters of notifications, and how their readers end them (RFC 8058)."""

import re
from urllib.parse import urlsplit

import pytest

from devforge_api.core import signing
from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work, uuid7
from devforge_api.core.mail.delivery import compose
from devforge_api.core.mail.letters import render
from devforge_api.users.service import delete_user, get_user_beside_admins
from tests.core import smtp
from tests.factories.notifications import tell
from tests.mailbox import parse

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def ada(api):
    return api.person()


@pytest.fixture
def letter(api, ada, mailbox):
    tell(api, [ada])
    return mailbox.last(ada.email)


def address_in(letter):
    (found,) = re.fullmatch(r"<(https?://[!-~]+)>", str(letter.message["List-Unsubscribe"])).groups()
    return found


def path_of(letter):
    parts = urlsplit(address_in(letter))
    return f"{parts.path}?{parts.query}"


def mail_of(api, person):
    return api.get("/notifications/preferences", by=person).json["data"]["licenses"]["mail"]


def test_a_letter_says_what_the_notification_says(api, ada, letter, set_locale, mailbox):
    (row,) = api.get("/notifications", by=ada).json["data"]
    assert letter.subject == row["title"]
    assert row["body"] in " ".join(letter.text.split())
    assert letter.message["Message-ID"].startswith(f"<{row['id']}@")
    set_locale(ada, "de")
    mailbox.empty()
    tell(api, [ada])
    assert mailbox.last(ada.email).subject == "Ihre Lizenz für Dev Forge ist abgelaufen"


def test_its_headers_lead_to_where_its_link_leads(api, letter):
    assert letter.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert address_in(letter) in letter.text
    assert address_in(letter).startswith(api.app.config["PUBLIC_URL"])


def test_the_header_comes_whole_through_a_mail_server(make_api):
    """A long address is folded by the library in a way that no mail program reads."""
    inbox = smtp.Inbox()
    with smtp.server(inbox) as port:
        url = "https://a-rather-long-name-of-a-host.of-a-company.example.org"
        api = make_api(DEVFORGE_MAIL_URL=f"smtp+plain://127.0.0.1:{port}", DEVFORGE_PUBLIC_URL=url)
        tell(api, [api.person()])
        while api.deliver():
            pass
    (letter,) = inbox.letters
    path = path_of(letter)
    assert api.app.test_client().post(path, data=ONE_CLICK).status_code == 200
    raw = compose(
        render("test", locale="en", sender="s", params={"link": "https://x.example/"}),
        mail_id=uuid7(), sender=("Dev Forge", "a@example.org"), recipient="b@example.org", at=utc_now(),
        unsubscribe=address_in(letter),
    ).as_bytes()  # fmt: skip
    assert f"List-Unsubscribe: <{address_in(letter)}>\n".encode() in raw
    assert parse(raw)


def test_security_letters_and_receipts_offer_no_such_thing(api, ada, mailbox):
    api.post("/auth/password/forgot", {"email": ada.email})
    (letter,) = mailbox.letters(ada.email)
    assert letter.message["List-Unsubscribe"] is None
    assert letter.message["List-Unsubscribe-Post"] is None


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_one_post_of_the_mail_program_ends_letters_of_the_kind_alone(api, ada, letter, mailbox, kind):
    client = api.app.test_client()
    for _ in range(2):  # again is no error
        done = client.post(path_of(letter), data=ONE_CLICK, content_type=kind)
        assert done.status_code == 200
    assert mail_of(api, ada) is False
    preferences = api.get("/notifications/preferences", by=ada).json["data"]
    assert preferences["webhooks"]["mail"] is True
    assert preferences["licenses"]["in_app"] is True
    mailbox.empty()
    tell(api, [ada])
    assert mailbox.letters(ada.email) == []
    assert len(api.get("/notifications", by=ada).json["data"]) == 2


def test_opening_the_link_asks_and_changes_nothing(api, ada, letter):
    for method in ("GET", "HEAD"):
        page = api.app.test_client().open(path_of(letter), method=method)
        assert page.status_code == 200
        assert mail_of(api, ada) is True
    page = api.app.test_client().get(path_of(letter), headers={"Accept-Language": "de"})
    assert "Keine Briefe mehr" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert "<script" not in page.text
    # The button sends what a mail program sends.
    action = re.search(r'<form method="post" action="([^"]+)">', page.text)[1]
    assert 'name="List-Unsubscribe" value="One-Click"' in page.text
    done = api.app.test_client().post(action.replace("&amp;", "&"), data=ONE_CLICK)
    assert done.status_code == 200
    assert mail_of(api, ada) is False


def test_a_post_without_the_word_changes_nothing(api, ada, letter):
    refused = api.app.test_client().post(path_of(letter), data={"anything": "else"})
    assert refused.status_code == 400
    assert mail_of(api, ada) is True


def _other_first(token):
    return ("B" if token[0] == "A" else "A") + token[1:]


@pytest.mark.parametrize("change", [lambda t: t[:-3], _other_first, lambda t: "", lambda t: t * 2])
def test_a_link_that_is_not_ours_is_refused(api, ada, letter, change):
    head, _, token = path_of(letter).partition("token=")
    path = f"{head}token={change(token)}"
    client = api.app.test_client()
    for refused in (client.get(path), client.post(path, data=ONE_CLICK)):
        assert refused.status_code == 404
    page = client.get(path, headers={"Accept": "text/html"})
    assert "not complete" in page.text
    assert mail_of(api, ada) is True


def test_a_seal_made_for_something_else_is_no_link(api, ada):
    with api.app.app_context():
        token = signing.seal("billing", ada.id.bytes + b"licenses")
    assert api.app.test_client().get(f"/notifications/unsubscribe?token={token}").status_code == 404


def test_the_link_of_an_account_that_is_gone_does_no_harm(api, ada, letter):
    with api.app.app_context(), unit_of_work():
        delete_user(get_user_beside_admins(ada.id))
    assert api.app.test_client().post(path_of(letter), data=ONE_CLICK).status_code == 200


def test_who_turns_letters_on_again_gets_them(api, ada, letter, mailbox):
    api.app.test_client().post(path_of(letter), data=ONE_CLICK)
    api.patch("/notifications/preferences", {"licenses": {"mail": True}}, by=ada)
    mailbox.empty()
    tell(api, [ada])
    assert len(mailbox.letters(ada.email)) == 1
