"""The browser's side of signing in: one cookie, forms that only our own pages can send, pages.

The cookie (``__Host-devforge``) stands for nothing until its holder signs in; then it gets a new
value, whose hash the session's row keeps (service/browser_sessions.py). Forms carry a token that
is signed for the cookie's value and for what the form does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import flask
from flask import Response, current_app, g, make_response, render_template, request
from itsdangerous import BadData, URLSafeTimedSerializer

from devforge_api.auth.providers import configured
from devforge_api.auth.queries import BrowserSession
from devforge_api.auth.routes.pages import AUTH
from devforge_api.auth.routes.words import WORDS
from devforge_api.auth.service import browser_sessions
from devforge_api.auth.service.admission import Challenge
from devforge_api.auth.service.sessions import Tokens
from devforge_api.core import gateway, pages
from devforge_api.core.db import unit_of_work
from devforge_api.core.encryption import fingerprint
from devforge_api.core.errors import DomainError
from devforge_api.core.languages import best_language
from devforge_api.core.responses import carries_secret

COOKIE = "__Host-devforge"
FORM_LIFETIME = 3600  # seconds for which a page's form can be sent
POLICY = pages.plain_policy()
# Where a sign-in may go on: our own pages that ask for one, and nothing that leads elsewhere.
_NEXT = re.compile(
    r"/oauth/authorize\?[!$%&'()*+,./0-9:;=?@A-Z_a-z~-]{1,4900}|/device(?:\?user_code=[A-Z-]{0,20})?"
)

browser = flask.Blueprint("browser", __name__, template_folder=str(AUTH / "templates"))


class FormRefused(DomainError):
    """This form was not sent from our own page, or has expired; open the page again."""

    status, code = 403, "FORM_REFUSED"


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider's button."""

    label: str
    href: str


def safe_next(given: str | None) -> str:
    """Where to go after signing in; anything that is not one of our own pages becomes /device."""
    return given if given and _NEXT.fullmatch(given) else "/device"


def is_own_page(given: str) -> bool:
    """Whether this is one of our own pages that ask for a sign-in."""
    return _NEXT.fullmatch(given) is not None


def cookie() -> str:
    """The browser's cookie; a new value, to be set with the answer, where it has none."""
    given = request.cookies.get(COOKIE, "")
    if "browser_cookie" not in g:
        g.browser_cookie = given if browser_sessions.is_cookie(given) else browser_sessions.new_cookie()
    value: str = g.browser_cookie
    return value


def signed_in() -> BrowserSession | None:
    """Whom this browser is signed in as, asked of the database."""
    given = request.cookies.get(COOKIE)
    return browser_sessions.find(given) if given else None


def show(template: str, status: int = 200, *, next_path: str = "", **values: Any) -> Response:
    """A page, with the token for its form and the cookie that it is bound to."""
    language = _language(next_path)
    carries_secret()
    response: Response = make_response(
        render_template(template, language=language, words=WORDS[language], next=next_path, **values), status
    )
    return as_page(response, language)


def as_page(response: Response, language: str) -> Response:
    """Give an answer the headers of a page that can sign somebody in."""
    pages.as_page(response, language, POLICY)
    # Not no-referrer: with that a browser sends its forms as from nowhere (Origin: null).
    response.headers["Referrer-Policy"] = "same-origin"
    if g.get("browser_cookie") and g.browser_cookie != request.cookies.get(COOKIE):
        set_cookie(response, g.browser_cookie)
    return response


def see_other(address: str) -> Response:
    """Send a browser on by GET (RFC 9110 section 15.4.4)."""
    return Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})


def set_cookie(response: Response, value: str) -> None:
    """The one cookie; it goes when the browser closes, the session's own end comes first or later."""
    response.set_cookie(COOKIE, value, secure=True, httponly=True, samesite="Lax", path="/")


def form_token(deed: str) -> str:
    """What a page's form must send back.

    :param deed: what the form does and to what, so that its token is good for nothing else.
    """
    return _serializer().dumps([fingerprint(cookie())[:32], fingerprint(deed)[:32]])


def check_form(deed: str) -> None:
    """Insist that the form was sent from our own page, by the browser that the page was made for.

    :raises FormRefused: by another site, by another browser, for another deed, or too late.
    """
    _check_origin()
    try:
        signed = _serializer().loads(request.form.get("form_token", "")[:1000], max_age=FORM_LIFETIME)
    except BadData:
        raise FormRefused from None
    given = request.cookies.get(COOKIE, "")
    if not browser_sessions.is_cookie(given):
        raise FormRefused
    if signed != [fingerprint(given)[:32], fingerprint(deed)[:32]]:
        raise FormRefused


def _check_origin() -> None:
    """Browsers say where a form comes from; what says nothing still needs the token."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise FormRefused
    public = urlsplit(current_app.config["PUBLIC_URL"])
    ours = {f"{public.scheme}://{public.netloc}", request.host_url.rstrip("/")}
    if request.headers.get("Origin") not in {None, *ours}:
        raise FormRefused


def _serializer() -> URLSafeTimedSerializer:
    oldest_first = list(reversed(current_app.config["SECRET_KEYS"]))
    return URLSafeTimedSerializer(oldest_first, salt="devforge browser form")


def finish_sign_in(response: Response, admission: Tokens | Challenge, next_path: str) -> Response:
    """Sign the browser in and send it on; where a second factor is due, show its page instead.

    Outside of a transaction, which this needs for itself.

    :param response: what else it sets (as other cookies) stays; status and body are replaced.
    :param next_path: one of our own pages, see `safe_next`.
    """
    next_path = safe_next(next_path)
    if isinstance(admission, Challenge):
        page = second_factor_page(admission.challenge_token, next_path)
        response.status_code = page.status_code
        response.set_data(page.get_data())
        response.headers.pop("Location", None)
        response.mimetype = "text/html"
        return as_page(response, _language(next_path))
    with unit_of_work():
        value = browser_sessions.hold(admission.session_id, instead_of=request.cookies.get(COOKIE))
    carries_secret()
    response.status_code = 303
    response.set_data(b"")
    response.headers["Location"] = next_path
    set_cookie(response, value)
    return response


def second_factor_page(challenge_token: str, next_path: str, *, error: str | None = None) -> Response:
    """The page that asks for a code."""
    return show(
        "oauth/second_factor.html",
        403 if error else 200,
        next_path=next_path,
        form_token=form_token("second-factor"),
        challenge_token=challenge_token,
        error=error,
    )


def sign_in_page(next_path: str, *, status: int = 200, email: str = "", error: str | None = None) -> Response:
    """The page that asks for address and password."""
    pages = current_app.config.get("ACCOUNT_PAGES_URL") or ""
    built_in = pages in {"", current_app.config["PUBLIC_URL"] + "/account"}
    return show(
        "oauth/sign_in.html",
        status,
        next_path=next_path,
        form_token=form_token("sign-in"),
        email=email[:254],
        client=_client_of(next_path),
        error=error,
        account_pages=None if built_in else pages.rstrip("/"),
        providers=providers(next_path),
    )


def providers(next_path: str) -> list[Provider]:
    """The identity providers to offer: each comes back to the page that asked for a sign-in."""
    query = urlencode({"next": safe_next(next_path)})
    return [
        Provider(one.settings.label, f"/api/v1/auth/oauth/{name}/start?{query}")
        for name, one in configured().items()
    ]


def message_page(key: str, *, status: int = 200, text: str | None = None, **values: Any) -> Response:
    """A page that only says something.

    :param key: of the heading; the text's is the same with ``_text``, unless `text` names another.
    """
    return show("oauth/message.html", status, heading=key, text=text or f"{key}_text", values=values)


@browser.record_once
def _prepare(state: Any) -> None:
    # Where people are sent by links and by providers, beside what programs ask for there.
    gateway.install_dialect(state.app, ("/account/", "/api/v1/auth/oauth/"), _speak_to_people)


def _speak_to_people(body: dict[str, Any], status: int) -> Response | None:
    """A refusal as a page for who would rather read one: browsers on their way, and no program."""
    kinds = ["application/json", "text/html"]
    if request.accept_mimetypes.best_match(kinds) != "text/html":
        return None
    page = message_page("error", status=status, text=body["code"])
    page.vary.add("Accept")
    return page


def _client_of(next_path: str) -> str | None:
    """The name of the application that this sign-in is for, if it is for one."""
    client_id = _parameter(next_path, "client_id")
    client = current_app.extensions["devforge-oauth"].query_client(client_id) if client_id else None
    return client.name if client else None


def _parameter(path: str, name: str) -> str:
    return (parse_qs(urlsplit(path).query).get(name) or [""])[0]


def _language(next_path: str) -> str:
    """By ``ui_locales`` of the request that brought the reader here, else by the browser's own wish."""
    asked = request.args.get("ui_locales") or _parameter(next_path, "ui_locales")
    wished = ",".join([*asked.split()[:10], request.headers.get("Accept-Language", "")])
    return best_language(wished)
