"""An application with providers, and the providers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from config.providers import ProviderSettings
from devforge_api.app import create_app
from devforge_api.auth.models import TotpFactor
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import encrypt
from devforge_api.users.models import User
from tests.auth.social.peers import (
    APPLE_KEY,
    CLIENT_ID,
    CLIENT_SECRET,
    ApplePeer,
    Browser,
    GitHubPeer,
    Peer,
    served,
)
from tests.factories import Api

NEXT = "https://app.example.com/signed-in"


class Peers:
    """The providers, by their names here."""

    def __init__(self) -> None:
        self.acme = Peer()
        self.other = Peer()
        self.apple = ApplePeer()
        self.github = GitHubPeer()
        self.microsoft = Peer(issuer_path="/common/v2.0")

    def settings(self) -> dict[str, ProviderSettings]:
        client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        self.microsoft.issuer_told = self.microsoft.address + "/{tenantid}/v2.0"
        apple = {"team_id": "TEAM123456", "key_id": "APPLEKEY01"}
        key = APPLE_KEY.as_pem(private=True).decode()
        return {
            "acme": ProviderSettings("acme", "oidc", "Acme", self.acme.issuer, **client),
            "other": ProviderSettings("other", "oidc", "Other", self.other.issuer, **client),
            "github": ProviderSettings(
                "github", "github", "GitHub", self.github.address, api=self.github.address, **client
            ),
            "apple": ProviderSettings(
                "apple", "apple", "Apple", self.apple.issuer, CLIENT_ID, private_key=key, **apple
            ),
            "microsoft": ProviderSettings(
                "microsoft", "microsoft", "Microsoft", self.microsoft.issuer, **client
            ),
        }

    def all(self) -> list[Peer]:
        return [self.acme, self.other, self.apple, self.github, self.microsoft]


@pytest.fixture(scope="session")
def all_peers() -> Iterator[Peers]:
    found = Peers()
    with ExitStack() as stack:
        for peer in found.all():
            peer.address = stack.enter_context(served(peer))
        yield found


@pytest.fixture
def peers(all_peers: Peers) -> Iterator[Peers]:
    yield all_peers
    for peer in all_peers.all():
        peer.forget()


@pytest.fixture
def acme(peers: Peers) -> Peer:
    return peers.acme


@pytest.fixture(scope="session")
def shared_social_app(environ: dict[str, str], all_peers: Peers) -> Iterator[Flask]:
    made = create_app(environ, IDENTITY_PROVIDERS=all_peers.settings(), SIGN_IN_REDIRECTS=(NEXT,))
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def social(app: Flask, shared_social_app: Flask) -> Flask:
    """One more process of this column, with identity providers; on `app`'s empty database."""
    return shared_social_app


@pytest.fixture
def social_with(app: Flask, environ: dict[str, str], peers: Peers) -> Iterator[Callable[..., Flask]]:
    """The same, fresh and under other settings: nothing of the providers is known yet."""
    made: list[Flask] = []

    def make(**overrides: Any) -> Flask:
        settings = {"IDENTITY_PROVIDERS": peers.settings(), "SIGN_IN_REDIRECTS": (NEXT,), **overrides}
        made.append(create_app(environ, **settings))
        return made[-1]

    yield make
    for one in made:
        with one.app_context():
            db.engine.dispose()


@pytest.fixture
def api(social: Flask) -> Api:
    return Api(social)


@pytest.fixture
def browser(social: Flask) -> Browser:
    return Browser(social)


@pytest.fixture
def with_totp(app: Flask) -> Callable[[UUID], None]:
    """Give a user a confirmed second factor."""

    def add(user_id: UUID) -> None:
        with app.app_context(), unit_of_work():
            db.session.add(TotpFactor(user_id=user_id, secret=encrypt("JBSWY3DP"), confirmed_at=utc_now()))

    return add


@pytest.fixture
def nobody_new(request: pytest.FixtureRequest, app: Flask) -> Iterator[None]:
    """A test that does not speak of signing in ends without any account, another one with one."""
    yield
    with app.app_context():
        made = db.session.scalar(select(func.count()).select_from(User))
    assert made == (1 if "signs_in" in request.node.name else 0)
