"""The pages of the authorization server: sign-in, consent, devices. They work without any script."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error
from flask import Response, make_response, request
from marshmallow import ValidationError

from devforge_api.auth.errors import DeviceCodeInvalid, SessionNotFound
from devforge_api.auth.queries import BrowserSession
from devforge_api.auth.routes.browser import (
    FormRefused,
    browser,
    check_form,
    finish_sign_in,
    form_token,
    message_page,
    safe_next,
    second_factor_page,
    see_other,
    set_cookie,
    show,
    sign_in_page,
    signed_in,
)
from devforge_api.auth.routes.oauth import server, speakable
from devforge_api.auth.routes.oauth_grants import issuer
from devforge_api.auth.routes.passwords import sign_in_by_password
from devforge_api.auth.routes.second_factor import answer_challenge
from devforge_api.auth.schemas.signing_in import LoginSchema
from devforge_api.auth.service import browser_sessions, device_grants, sessions
from devforge_api.auth.service.clients import Client
from devforge_api.core.context import occasion
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import DomainError, ValidationFailed
from devforge_api.core.limits import Limit, address_key, charge
from devforge_api.core.responses import carries_secret
from devforge_api.core.security import public

PROMPTS = {"", "none", "login", "consent"}
DEVICE_NAME = "Web browser"


class _Unredirectable(Exception):
    """The request names no client of ours, or an address that is not that client's."""


@browser.get("/oauth/authorize")
@public()
def authorize() -> Response:
    """Ask whoever is signed in, or has to sign in, whether a client may go on."""
    try:
        _client()
        grant = _grant()
        prompt = _prompt()
    except _Unredirectable:
        return message_page("error", status=400, text="bad_client")
    except OAuth2Error as error:
        return see_other(_error_address(error.error, error.get_error_description()))
    user = signed_in()
    if prompt == "none":  # consent is asked for each time, so there is always something to show
        return see_other(_error_address("consent_required" if user else "login_required"))
    here = _here(prompt)
    if user is None or prompt == "login":
        hint = request.args.get("login_hint", "")
        return sign_in_page(here, email=hint if hint.isprintable() else "")
    return show(
        "oauth/consent.html",
        next_path=here,
        form_token=form_token(f"consent {_here()}"),
        sign_out_token=form_token("sign-out"),
        action=_here(),
        client=grant.client.name,
        email=user.email,
    )


@browser.post("/oauth/authorize")
@public()
def decide() -> Response:
    """Send the user's answer to the client."""
    carries_secret()
    try:
        client = _client()
        grant = _grant()
    except (_Unredirectable, OAuth2Error):
        return message_page("error", status=400, text="bad_client")
    check_form(f"consent {_here()}")
    user = signed_in()
    if user is None:
        return see_other(_here())
    allowed = request.form.get("decision") == "allow"
    try:
        with unit_of_work():
            answer = server().create_authorization_response(grant=grant, grant_user=user if allowed else None)
    except SessionNotFound:  # signed out in this moment
        return see_other(_here())
    # Not a redirect: form-action would have to allow wherever the client listens, and a page must
    # stay in the browser where an application opens.
    address = answer.headers["Location"]
    return show("oauth/leaving.html", next_path=_here(), address=address, client=client.name)


@browser.post("/oauth/sign-in")
@public(Limit.CREDENTIALS)
def sign_in() -> Response:
    """Sign a browser in by password."""
    next_path = safe_next(request.form.get("next"))
    email = request.form.get("email", "")
    try:
        check_form("sign-in")
    except FormRefused:
        if signed_in() is not None:  # in another tab, since this page was made
            return see_other(next_path)
        return sign_in_page(next_path, status=403, email=email, error="stale")
    given = {"email": email, "password": request.form.get("password", ""), "device_name": DEVICE_NAME}
    try:
        data = LoginSchema(only=("email", "password", "device_name")).load(given)
        admission = sign_in_by_password(**data)
    except (ValidationError, ValidationFailed):
        return sign_in_page(next_path, status=403, email=email, error="VALIDATION_ERROR")
    except DomainError as refused:
        page = sign_in_page(next_path, status=_page_status(refused), email=email, error=refused.code)
        return _with_headers(page, refused)
    return finish_sign_in(make_response(), admission, next_path)


@browser.post("/oauth/second-factor")
@public(Limit.CREDENTIALS)
def second_factor() -> Response:
    """Finish a sign-in by the code that it waits for."""
    next_path = safe_next(request.form.get("next"))
    challenge = request.form.get("challenge_token", "")[:200]
    try:
        check_form("second-factor")
    except FormRefused:
        return sign_in_page(next_path, status=403, error="stale")
    try:
        tokens = answer_challenge(challenge, request.form.get("code", "")[:100])
    except DomainError as refused:
        if refused.code == "MFA_CODE_INVALID" or refused.status in {429, 503}:
            page = second_factor_page(challenge, next_path, error=refused.code)
            page.status_code = _page_status(refused)
        else:
            page = sign_in_page(next_path, status=403, error=refused.code)
        return _with_headers(page, refused)
    return finish_sign_in(make_response(), tokens, next_path)


@browser.post("/oauth/sign-out")
@public()
def sign_out() -> Response:
    """End this browser's session, and show where to go on."""
    check_form("sign-out")
    user = signed_in()
    if user is not None:
        with unit_of_work():
            sessions.logout(user.id)
    given = request.form.get("next", "")
    response = see_other(safe_next(given)) if given else message_page("signed_out")
    set_cookie(response, browser_sessions.new_cookie())
    return response


# With the slash too: people type this address.
@browser.get("/device", strict_slashes=False)
@public()
def device() -> Response:
    """Ask for a device's code, then whether it may sign in."""
    typed = request.args.get("user_code", "")
    if not typed:
        return _device_page()
    return _confirm(device_grants.read_user_code(typed))


@browser.post("/device")
@public()
def enter_device_code() -> Response:
    """Take the code that was typed, or the answer to the question that follows."""
    user_code = device_grants.read_user_code(request.form.get("user_code", ""))
    decision = request.form.get("decision")
    if decision is None:
        try:
            check_form("device")
        except FormRefused:
            return _device_page(error="stale")
        return _confirm(user_code)
    check_form(f"device {user_code}")
    user = signed_in()
    if user is None:
        return see_other(f"/device?{urlencode({'user_code': user_code})}")
    allowed = decision == "allow"
    try:
        grant = device_grants.find_pending(user_code)
        with unit_of_work():
            device_grants.decide(user, user_code, approved=allowed)
    except DeviceCodeInvalid as refused:
        return _device_page(error=refused.code)
    except SessionNotFound:
        return see_other("/device")
    name = _client_name(grant.client_id)
    return message_page("device_done" if allowed else "device_denied", client=name)


def _confirm(user_code: str) -> Response:
    """The question about one device; guessing at codes is counted, by address and by session."""
    user = signed_in()
    charge(Limit.DEVICE_CODES, f"address:{address_key(occasion().address)}")
    if user is None:
        return sign_in_page(f"/device?{urlencode({'user_code': user_code})}")
    charge(Limit.DEVICE_CODES, f"session:{user.id}")
    try:
        grant = device_grants.find_pending(user_code)
    except DeviceCodeInvalid as refused:
        return _device_page(user, error=refused.code)
    return show(
        "oauth/device_consent.html",
        next_path=f"/device?{urlencode({'user_code': user_code})}",
        form_token=form_token(f"device {user_code}"),
        sign_out_token=form_token("sign-out"),
        client=_client_name(grant.client_id),
        user_code=user_code,
        address=grant.address,
        email=user.email,
    )


def _device_page(user: BrowserSession | None = None, *, error: str | None = None) -> Response:
    return show(
        "oauth/device.html",
        403 if error else 200,
        form_token=form_token("device"),
        sign_out_token=form_token("sign-out"),
        user=user or signed_in(),
        error=error,
    )


def _client() -> Client:
    """The client, once it and the address that it names can be trusted with an answer."""
    given = request.args
    client = server().query_client(given.get("client_id", ""))
    uri = given.get("redirect_uri", "")
    doubtful = len(given.getlist("client_id")) != 1 or len(given.getlist("redirect_uri")) != 1
    if client is None or doubtful or not client.check_redirect_uri(uri):
        raise _Unredirectable
    return client


def _grant() -> Any:
    """What Authlib makes of the request.

    :raises OAuth2Error: what is wrong with it.
    """
    if any(len(values) > 1 for _, values in request.args.lists()):  # the library looks at some only
        raise OAuth2Error(error="invalid_request", description="A parameter came twice.")
    wanted = request.args.get("response_type")
    if wanted != "code":  # the library would repeat in its description what no description may hold
        raise OAuth2Error(error="unsupported_response_type" if wanted else "invalid_request")
    return server().get_consent_grant()


def _prompt() -> str:
    prompt = request.args.get("prompt", "")
    if prompt not in PROMPTS or request.args.get("response_mode", "query") != "query":
        raise OAuth2Error(error="invalid_request", description="prompt is none, login or consent.")
    return prompt


def _here(prompt: str = "") -> str:
    """This request's own address, in one spelling; once signed in, prompt=login is done with."""
    kept = [
        (name, value)
        for name, value in request.args.items(multi=True)
        if not (prompt == "login" and name == "prompt")
    ]
    return f"/oauth/authorize?{urlencode(kept)}"


def _error_address(error: str, description: str | None = None) -> str:
    """The client's address with a refusal (RFC 6749 section 4.1.2.1, RFC 9207)."""
    answer = [("error", error)]
    if description:
        answer.append(("error_description", speakable(description)))
    if state := request.args.get("state"):
        answer.append(("state", state))
    address: str = add_params_to_uri(request.args["redirect_uri"], [*answer, ("iss", issuer())])
    return address


def _client_name(client_id: str) -> str:
    client = server().query_client(client_id)
    return client.name if client else client_id


def _page_status(refused: DomainError) -> int:
    """A browser shows its own window for some 401: our page says it with 403."""
    return 403 if refused.status == 401 else refused.status


def _with_headers(page: Response, refused: DomainError) -> Response:
    retry = refused.headers().get("Retry-After")
    if retry:
        page.headers["Retry-After"] = retry
    return page
