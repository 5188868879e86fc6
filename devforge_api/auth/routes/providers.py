"""Signing in by an identity provider: the browser's way there and back."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Response, current_app, make_response, request
from flask.views import MethodView

from devforge_api.auth.errors import (
    AccountDisabled,
    EmailNotVerified,
    LinkRequired,
    OneTimeTokenInvalid,
    ProviderAnswerInvalid,
    ProviderDenied,
    ProviderEmailMissing,
    ProviderNotFound,
    ProviderStateInvalid,
    ProviderUnavailable,
)
from devforge_api.auth.providers import configured, find_provider
from devforge_api.auth.routes import blp
from devforge_api.auth.routes.browser import finish_sign_in, is_own_page, sign_in_page
from devforge_api.auth.routes.passwords import verification_required
from devforge_api.auth.schemas.identities import (
    ProviderExchangeSchema,
    ProviderSchema,
    ProviderStartSchema,
)
from devforge_api.auth.schemas.signing_in import LoginAnswerSchema
from devforge_api.auth.service import identities, provider_sign_in
from devforge_api.auth.service.admission import Challenge
from devforge_api.auth.service.provider_sign_in import STATE_LIFETIME, Journey, Return
from devforge_api.auth.service.sessions import Tokens
from devforge_api.auth.service.vouched import VouchedIdentity
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import DomainError, MalformedRequest, Unavailable
from devforge_api.core.examples import example_of
from devforge_api.core.limits import Limit
from devforge_api.core.responses import carries_secret, shaped
from devforge_api.core.security import public

if TYPE_CHECKING:
    from devforge_api.auth.service.providers import Provider

# `__Host-`: no other site and no subdomain can plant it.
COOKIE = "__Host-devforge-provider"
DEVICE_NAME = "Web browser"
MAXIMUM_LENGTH = 4096  # of what comes back
EXAMPLE = {
    "data": [example_of(ProviderSchema())],
    "pagination": {"page": 1, "limit": 1, "total": 1, "pages": 1},
}


def _address(provider: str, what: str) -> str:
    """An address below this installation's own, whatever host was asked for."""
    return f"{current_app.config['PUBLIC_URL']}/api/v1/auth/oauth/{provider}/{what}"


@blp.route("/oauth/providers")
class Providers(MethodView):
    """The configured ones."""

    @public()
    @blp.response(200, ProviderSchema(many=True), example={"success": True, **EXAMPLE})
    def get(self) -> Response:
        """List the identity providers by which one can sign in"""
        found = [
            {"name": name, "label": one.settings.label, "start_url": _address(name, "start")}
            for name, one in configured().items()
        ]
        return shaped(found, ProviderSchema(many=True), pagination=_one_page(len(found)))


def _one_page(total: int) -> dict[str, int]:
    """Where in a list one is that is never longer than a page."""
    return {"page": 1, "limit": max(total, 1), "total": total, "pages": min(total, 1)}


@blp.route("/oauth/<provider>/start")
class ProviderStart(MethodView):
    """The way there."""

    @public()
    @blp.arguments(ProviderStartSchema, location="query")
    @blp.response(302, description="To the provider, with a cookie that recognises the browser.")
    @blp.raises(ProviderNotFound, ProviderUnavailable)
    def get(self, query: dict[str, str], provider: str) -> Response:
        """Send the browser to an identity provider"""
        found = find_provider(provider)
        next_, challenge = query.get("next"), query.get("code_challenge")
        if next_ is None or not is_own_page(next_):
            allowed = current_app.config["SIGN_IN_REDIRECTS"]
            provider_sign_in.check_destination(next_, challenge, allowed=allowed)
        browser = _browser() or secrets.token_urlsafe(32)
        carries_secret()
        with unit_of_work():
            attempt = provider_sign_in.begin(
                provider,
                browser=browser,
                redirect_uri=_address(provider, "callback"),
                next_=next_,
                code_challenge=challenge,
            )
        response = Response(status=302, headers={"Location": found.authorization_url(attempt)})
        response.set_cookie(
            COOKIE,
            browser,
            max_age=STATE_LIFETIME,
            secure=True,
            httponly=True,
            # With Lax, a POST from another site would come without it.
            samesite="None" if found.form_post else "Lax",
        )
        return response


def _browser() -> str | None:
    """The secret of a browser that has one: two windows may be on their way at once."""
    given = request.cookies.get(COOKIE, "")
    return given if re.fullmatch(r"[A-Za-z0-9_-]{43}", given) else None


@dataclass(frozen=True, slots=True)
class _Given:
    """The parameters of a callback that mean something here; others are ignored (RFC 6749 4.1.2)."""

    state: str | None
    code: str | None
    error: str | None
    iss: str | None
    user: str | None


def _given() -> _Given:
    posted = request.method == "POST"
    as_form = request.mimetype == "application/x-www-form-urlencoded"
    values = request.form if posted and as_form else request.args
    if posted and not as_form:
        raise MalformedRequest("Send the provider's answer as a form.")
    found: dict[str, str | None] = {}
    for name in ("state", "code", "error", "iss", "user"):
        several = values.getlist(name)
        if len(several) > 1 or any(len(one) > MAXIMUM_LENGTH or "\0" in one for one in several):
            raise MalformedRequest(f"{name} is given twice, or too long.")
        found[name] = several[0] if several else None
    return _Given(**found)


def _takes_back(view: Callable[..., Any]) -> Callable[..., Any]:
    """How either way back is answered and refused."""
    refused = blp.raises(
        ProviderNotFound, ProviderStateInvalid, ProviderDenied, ProviderAnswerInvalid, ProviderUnavailable,
        ProviderEmailMissing, LinkRequired, AccountDisabled, EmailNotVerified,
    )  # fmt: skip
    elsewhere = blp.alt_response(
        303, description="To `next`, with `#code=…` or `#error=…`, where it was given."
    )
    answered: Callable[..., Any] = blp.response(200, LoginAnswerSchema)(elsewhere(refused(view)))
    return answered


@blp.route("/oauth/<provider>/callback")
class ProviderCallback(MethodView):
    """The way back."""

    @public()
    @_takes_back
    def get(self, provider: str) -> Tokens | Challenge | Response:
        """Take a browser back from an identity provider"""
        return _back(find_provider(provider), _given())

    @public()
    @_takes_back
    def post(self, provider: str) -> Tokens | Challenge | Response:
        """Take a browser back from a provider that lets it send a form, as Apple does"""
        return _back(find_provider(provider), _given())


def _back(provider: Provider, given: _Given) -> Tokens | Challenge | Response:
    carries_secret()
    with unit_of_work():  # used up, whatever comes of it
        journey = provider_sign_in.come_back(provider.settings.name, browser=_browser(), state=given.state)
    try:
        vouched = _vouched(provider, given, journey)
    except (ProviderDenied, ProviderAnswerInvalid, ProviderUnavailable, Unavailable) as error:
        if journey.next is None:
            raise
        if is_own_page(journey.next):
            return _refused(error, journey.next)
        return _onward(journey.next, error=_word(error))
    if journey.next is None:
        return _admitted(lambda: vouched, device_name=None)
    if is_own_page(journey.next):
        return _to_own_page(vouched, journey.next)
    assert journey.code_challenge is not None  # checked at the start
    with unit_of_work():
        code = provider_sign_in.hand_over(vouched, journey.code_challenge)
    return _onward(journey.next, code=code)


def _to_own_page(vouched: VouchedIdentity, next_path: str) -> Response:
    """Sign the browser in: our own pages work without scripts, and cannot take a code over."""
    try:
        admitted = _admitted(lambda: vouched, device_name=DEVICE_NAME)
    except DomainError as error:
        return _refused(error, next_path)
    return finish_sign_in(make_response(), admitted, next_path)


def _refused(error: DomainError, next_path: str) -> Response:
    return sign_in_page(next_path, status=error.status, error=error.code)


def _vouched(provider: Provider, given: _Given, journey: Journey) -> VouchedIdentity:
    if given.error is not None:
        raise ProviderDenied
    if not given.code:
        raise ProviderAnswerInvalid
    return provider.redeem(Return(given.code, given.iss, given.user), journey.attempt)


def _word(error: DomainError) -> str:
    """An error in OAuth's words (RFC 6749 section 4.1.2.1), for the client at ``next``."""
    if isinstance(error, ProviderDenied):
        return "access_denied"
    return "server_error" if isinstance(error, ProviderAnswerInvalid) else "temporarily_unavailable"


def _onward(next_: str, **result: str) -> Response:
    """Send the browser on; what stands in a fragment reaches no server, and no log."""
    return Response(status=303, headers={"Location": f"{next_}#{urlencode(result)}"})


def _admitted(vouch: Callable[[], VouchedIdentity], *, device_name: str | None) -> Tokens | Challenge:
    """Sign in whoever is vouched for, in one transaction."""
    with unit_of_work():
        admitted = identities.sign_in(
            vouch(), device_name=device_name, must_be_verified=verification_required()
        )
    if admitted is None:
        raise EmailNotVerified
    return admitted


@blp.route("/oauth/exchange")
class ProviderExchange(MethodView):
    """The client's last step."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(ProviderExchangeSchema)
    @blp.response(200, LoginAnswerSchema)
    @blp.raises(OneTimeTokenInvalid, ProviderEmailMissing, LinkRequired, AccountDisabled, EmailNotVerified)
    def post(self, data: dict[str, Any]) -> Tokens | Challenge:
        """Exchange the code of a sign-in by a provider for tokens"""
        carries_secret()
        take_over = partial(provider_sign_in.take_over, data["code"], data["code_verifier"])
        return _admitted(take_over, device_name=data["device_name"])
