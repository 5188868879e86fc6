"""Who may call a route: declared on it, enforced by the gateway before anything else runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import parse_qs

from flask import Flask, Request, current_app
from flask.views import MethodView

from devforge_api.core import revocation
from devforge_api.core.context import Principal
from devforge_api.core.errors import ReauthRequired, TokenRevoked
from devforge_api.core.limits import Limit, charge, charge_unless_denied

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Below these no route goes without saying who may call it.
DECLARED = ("/api/", "/oauth/", "/.well-known/", "/device", "/billing/", "/notifications/")

View = TypeVar("View", bound=Callable[..., Any])


class StepUp(StrEnum):
    """How a caller must have proven, within the last minutes, who they are."""

    ANEW = "anew"  # again, since signing in
    LATELY = "lately"  # by signing in, or again since


class Authority(Protocol):
    """Whoever issues tokens, and knows which ones still admit."""

    def read(self, token: str) -> Principal:
        """The caller whom a genuine token names; it may be revoked.

        :raises TokenRefused: expired, or not ours.
        """

    def confirm(self, principal: Principal) -> bool:
        """Whether the database still admits the caller."""

    def is_proven(self, principal: Principal, step_up: StepUp) -> bool:
        """Whether the caller has proven a few minutes ago, in this way, who they are."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a route asks of its caller.

    :param scope: the scope that the token must carry; None on public routes.
    :param limit: the budget that a public route charges to the address.
    :param step_up: the caller must have proven a few minutes ago, in this way, who they are.
    :param ticket: where no token is sent, a single-use ticket in the query does as well.
    """

    scope: str | None
    limit: Limit = Limit.ANONYMOUS
    step_up: StepUp | None = None
    ticket: bool = False


def requires(scope: str, *, step_up: StepUp | None = None, ticket: bool = False) -> Callable[[View], View]:
    """Only callers with this scope. Outermost: 401 and 403 come before 415 and 422.

    :param step_up: for what a stolen token must not be enough for; 403 ``REAUTH_REQUIRED``.
    :param ticket: for what browsers open without being able to send a header (``?ticket=``).
    """
    return _declare(Access(scope, step_up=step_up, ticket=ticket))


def public(limit: Limit = Limit.ANONYMOUS) -> Callable[[View], View]:
    """Anyone; each call is charged to the caller's address."""
    return _declare(Access(None, limit))


def _declare(access: Access) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        view.__dict__["access"] = access
        return view

    return decorate


def init_app(app: Flask) -> None:
    """Prepare for `install_authority` and `collect_access`."""
    app.extensions["devforge-authority"] = app.extensions["devforge-tickets"] = None
    app.extensions["devforge-access"] = {}


def install_authority(app: Flask, authority: Authority) -> None:
    """Tell how a bearer token is turned into its principal, or refused."""
    app.extensions["devforge-authority"] = authority


def install_tickets(app: Flask, redeem: Callable[[str], Principal]) -> None:
    """Tell how a ticket is turned, once, into whoever asked for it.

    :param redeem: raises TokenRefused where the ticket does not admit.
    """
    app.extensions["devforge-tickets"] = redeem


def collect_access(app: Flask) -> dict[tuple[str, str], Access]:
    """Read every route's declaration once, at start.

    :raises RuntimeError: a route that must declare, and does not.
    """
    declared: dict[tuple[str, str], Access] = {}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            view_class: type[MethodView] | None = getattr(view, "view_class", None)
            function = getattr(view_class, method.lower()) if view_class else view
            access = getattr(function, "access", None)
            if access is not None:
                declared[rule.endpoint, method] = access
            elif rule.rule.startswith(DECLARED) and rule.endpoint != "api-docs.openapi_json":
                raise RuntimeError(f"{method} {rule.rule} declares neither @requires nor @public")
    app.extensions["devforge-access"] = declared
    return declared


def access_of(request: Request) -> Access | None:
    """What the matched route asks for; None for an unknown path or a route without declaration."""
    method = "GET" if request.method == "HEAD" else request.method
    access: Access | None = current_app.extensions["devforge-access"].get((request.endpoint, method))
    return access


def admit(token: str) -> Principal:
    """The caller whom a bearer token stands for, charged to their budget.

    One Redis call for both; one query where Redis is not configured, not to be trusted, or says
    no: a denial stands there before its commit, and the database tells whether that came.

    :raises TokenRefused: one of its four kinds. :raises RateLimited: the budget is used up.
    """
    authority: Authority = current_app.extensions["devforge-authority"]
    principal = authority.read(token)
    budget = str(principal.user_id)
    if principal.session_id is None:  # the database has just vouched for it
        charge(Limit.USER, budget)
        return principal
    denials = revocation.denials_of(principal.session_id, principal.user_id, principal.token_version)
    if denials is None or not charge_unless_denied(Limit.USER, budget, denials):
        if not authority.confirm(principal):
            raise TokenRevoked
        charge(Limit.USER, budget)
    return principal


def admit_ticket(environ: WSGIEnvironment, access: Access) -> Principal | None:
    """The caller whom a ticket stands for, charged to their budget; it is used up.

    None where the request brings a token, or no ticket, or the route takes none.

    :raises TokenRefused: unknown, used, expired, or its session is over.
    :raises RateLimited: the budget is used up.
    """
    if not access.ticket or environ.get("HTTP_AUTHORIZATION"):
        return None
    given = parse_qs(environ.get("QUERY_STRING", "")).get("ticket")
    if not given:
        return None
    redeem: Callable[[str], Principal] = current_app.extensions["devforge-tickets"]
    principal = redeem(given[0])
    charge(Limit.USER, str(principal.user_id))
    return principal


def insist_on_proof(principal: Principal, step_up: StepUp) -> None:
    """For routes with ``step_up``.

    :raises ReauthRequired: the caller has not proven lately who they are, or is a tool.
    """
    authority: Authority = current_app.extensions["devforge-authority"]
    if not authority.is_proven(principal, step_up):
        raise ReauthRequired
