"""The protocol spoken with identity providers: sending a browser there, and taking the answer.

Authorization code with PKCE, state and nonce (RFC 9700, OpenID Connect Core 1.0). What differs
between providers is a subclass; accounts know nothing of it and take a `VouchedIdentity`.
"""

from __future__ import annotations

import logging
import re
import time
from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import quote_plus

from authlib.common.errors import AuthlibBaseError
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from config.providers import ProviderSettings, is_trustworthy
from devforge_api.auth.errors import ProviderAnswerInvalid, ProviderUnavailable
from devforge_api.auth.service.id_tokens import Kept, check_claims, key_set, signed_claims
from devforge_api.auth.service.provider_calls import ProviderSession, calling_out, fetch_json
from devforge_api.auth.service.provider_sign_in import Attempt, Return
from devforge_api.auth.service.vouched import VouchedIdentity, vouched
from devforge_api.core import json as strict_json
from devforge_api.core.errors import DomainError

log = logging.getLogger(__name__)
CLIENT_SECRET_SECONDS = 300  # for which Apple's is good; it serves one exchange
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Provider(ABC):
    """Base of all providers."""

    scope: str
    extra: dict[str, str] = {}
    form_post = False  # whether the browser comes back by a POST from another site

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings

    def authorization_url(self, attempt: Attempt) -> str:
        """Where to send the browser.

        :raises ProviderUnavailable: it does not tell.
        """
        with calling_out():
            endpoint = self._authorization_endpoint()
        with ProviderSession(
            self.settings.client_id,
            scope=self.scope,
            redirect_uri=attempt.redirect_uri,
            code_challenge_method="S256",
        ) as session:
            url, _ = session.create_authorization_url(
                endpoint,
                state=attempt.state,
                code_verifier=attempt.code_verifier,
                nonce=attempt.nonce,
                **self.extra,
            )
        return str(url)

    def redeem(self, came_back: Return, attempt: Attempt) -> VouchedIdentity:
        """Exchange the code for who the user is, in the provider's word.

        :raises ProviderUnavailable: it does not answer.
        :raises ProviderAnswerInvalid: its answer is not one to this attempt, or cannot be trusted.
        """
        try:
            with calling_out():
                return self._redeem(came_back, attempt)
        except (ProviderAnswerInvalid, ProviderUnavailable) as error:
            # For the operator: a wrong client secret looks like this.
            why = f"{type(error.__cause__).__name__}: {error.__cause__}"[:300] if error.__cause__ else ""
            log.warning("a sign-in by %s failed: %s %s", self.settings.name, error.code, why)
            raise

    def look(self) -> str:
        """Ask whether it is there, for the doctor; the address that was asked.

        :raises ProviderUnavailable: it is not.
        """
        with calling_out():
            return self._authorization_endpoint()

    @abstractmethod
    def _authorization_endpoint(self) -> str:
        """Where browsers are sent; may be asked of the provider."""

    @abstractmethod
    def _redeem(self, came_back: Return, attempt: Attempt) -> VouchedIdentity:
        """Exchange the code, by calls to the provider."""

    def _client_secret(self) -> str | None:
        return self.settings.client_secret

    def _tokens(self, endpoint: str, method: str, came_back: Return, attempt: Attempt) -> dict[str, Any]:
        """The answer of the token endpoint."""
        client_id, secret = self.settings.client_id, self._client_secret()
        if method == "client_secret_basic":  # which encodes both (RFC 6749 section 2.3.1)
            client_id, secret = quote_plus(client_id), quote_plus(secret or "")
        try:
            with ProviderSession(client_id, secret, token_endpoint_auth_method=method) as session:
                token = session.fetch_token(
                    endpoint,
                    grant_type="authorization_code",
                    code=came_back.code,
                    redirect_uri=attempt.redirect_uri,
                    code_verifier=attempt.code_verifier,
                )
        except (
            AuthlibBaseError,
            ValueError,
            TypeError,
            OverflowError,
            RecursionError,
        ) as error:  # refused, or not in the protocol's form: the library computes with what it is told
            raise ProviderAnswerInvalid from error
        return dict(token)


class OpenIdProvider(Provider):
    """Any provider that speaks OpenID Connect; Google is nothing else."""

    scope = "openid email profile"

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self._metadata = Kept(self._discover)
        self._keys: Kept[KeySet] = Kept(lambda: key_set(fetch_json(self._endpoint("jwks_uri"))))

    def _discover(self) -> dict[str, Any]:
        document = fetch_json(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if not isinstance(document, dict) or not self._is_issuer(document.get("issuer")):
            raise ProviderUnavailable(60)
        return document

    def _is_issuer(self, told: object) -> bool:
        """Whether discovery speaks of the issuer that was asked (Discovery 1.0, section 4.3)."""
        return told == self.settings.issuer

    def _may_be_issuer(self, told: str | None) -> bool:
        return told is None or self._is_issuer(told)

    def _endpoint(self, name: str) -> str:
        address = self._metadata.get().get(name)
        if not is_trustworthy(address):
            raise ProviderUnavailable(60)
        return str(address)

    def _authorization_endpoint(self) -> str:
        return self._endpoint("authorization_endpoint")

    def _method(self) -> str:
        """How we tell who we are; Basic is what every provider knows, unless it says otherwise."""
        if self._client_secret() is None:
            return "none"
        supported = self._metadata.get().get("token_endpoint_auth_methods_supported")
        basic = not isinstance(supported, list) or "client_secret_basic" in supported
        return self.settings.auth_method or ("client_secret_basic" if basic else "client_secret_post")

    def _redeem(self, came_back: Return, attempt: Attempt) -> VouchedIdentity:
        told = self._metadata.get().get("authorization_response_iss_parameter_supported") is True
        if (came_back.issuer is None and told) or not self._may_be_issuer(came_back.issuer):
            raise ProviderAnswerInvalid  # before another's code is sent here (RFC 9207)
        tokens = self._tokens(self._endpoint("token_endpoint"), self._method(), came_back, attempt)
        claims = signed_claims(tokens.get("id_token"), self._keys)
        issuer = self._issuer_for(claims)
        if came_back.issuer not in {None, issuer}:  # of the several that Microsoft may be
            raise ProviderAnswerInvalid
        check_claims(claims, issuer=issuer, client_id=self.settings.client_id, nonce=attempt.nonce)
        return self._vouched(self._completed(claims, tokens), came_back)

    def _issuer_for(self, claims: dict[str, Any]) -> str:
        """The issuer that must have signed these claims."""
        return self.settings.issuer

    def _completed(self, claims: dict[str, Any], tokens: dict[str, Any]) -> dict[str, Any]:
        """The claims; where the ID token tells no address, with what userinfo says of its subject."""
        if "email" in claims or "userinfo_endpoint" not in self._metadata.get():
            return claims
        bearer = tokens.get("access_token")
        if not isinstance(bearer, str) or not re.fullmatch(r"[!-~]{1,8192}", bearer):
            return claims
        more = fetch_json(self._endpoint("userinfo_endpoint"), bearer=bearer)
        if not isinstance(more, dict) or more.get("sub") != claims.get("sub"):  # Core 1.0, section 5.3.2
            raise ProviderAnswerInvalid
        told = {name: more[name] for name in ("email", "email_verified", "name") if name in more}
        return {**told, **{name: value for name, value in claims.items() if name != "email_verified"}}

    def _vouched(self, claims: dict[str, Any], came_back: Return) -> VouchedIdentity:
        return vouched(
            self.settings.name,
            claims.get("sub"),
            email=claims.get("email"),
            email_verified=claims.get("email_verified") in (True, "true"),
            name=claims.get("name"),
        )


class Microsoft(OpenIdProvider):
    """Microsoft Entra: one issuer for each tenant, and addresses that any tenant may invent."""

    def _is_issuer(self, told: object) -> bool:
        asked = self.settings.issuer.split("/")
        given = told.split("/") if isinstance(told, str) else []
        if len(given) != len(asked) or len(asked) < 4 or _GUID.fullmatch(asked[3]):
            return given == asked
        # "common" and its like name the tenant's place by "{tenantid}"; a domain is told by its id.
        return given[:3] + given[4:] == asked[:3] + asked[4:]

    def _issuer_for(self, claims: dict[str, Any]) -> str:
        tenant = claims.get("tid")
        if not isinstance(tenant, str) or not _GUID.fullmatch(tenant):
            raise ProviderAnswerInvalid
        return str(self._metadata.get()["issuer"]).replace("{tenantid}", tenant)

    def _completed(self, claims: dict[str, Any], tokens: dict[str, Any]) -> dict[str, Any]:
        return claims

    def _vouched(self, claims: dict[str, Any], came_back: Return) -> VouchedIdentity:
        # `sub` differs between applications of one operator, `email` and names can be changed by
        # the tenant: the person is the object in the tenant.
        person = claims.get("oid")
        if not isinstance(person, str) or not person:
            raise ProviderAnswerInvalid
        return vouched(
            self.settings.name,
            f"{claims['tid']}:{person}".lower(),
            email=claims.get("email"),
            email_verified=claims.get("xms_edov") in (True, "true", "1"),
            name=claims.get("name"),
        )


class Apple(OpenIdProvider):
    """Apple: signs clients in by a token of their own, and comes back by POST."""

    scope = "openid email name"
    extra = {"response_mode": "form_post"}
    form_post = True

    def _client_secret(self) -> str:
        settings, now = self.settings, int(time.time())
        assert settings.private_key is not None  # checked at start
        claims = {
            "iss": settings.team_id,
            "sub": settings.client_id,
            "aud": settings.issuer,
            "iat": now,
            "exp": now + CLIENT_SECRET_SECONDS,
        }
        header = {"alg": "ES256", "kid": settings.key_id}
        return jwt.encode(header, claims, ECKey.import_key(settings.private_key))

    def _method(self) -> str:
        return "client_secret_post"

    def _vouched(self, claims: dict[str, Any], came_back: Return) -> VouchedIdentity:
        # The browser brings it, unsigned: good enough for a name, and for nothing else.
        return super()._vouched({**claims, "name": _full_name(came_back.user)}, came_back)


def _full_name(user: str | None) -> str | None:
    try:
        told = strict_json.parse((user or "").encode())
    except DomainError:
        return None
    name = told.get("name") if isinstance(told, dict) else None
    parts = [name.get(part) for part in ("firstName", "lastName")] if isinstance(name, dict) else []
    return " ".join(part for part in parts if isinstance(part, str)) or None


class GitHub(Provider):
    """GitHub: OAuth without ID tokens; who the user is stands in its API."""

    scope = "read:user user:email"

    def _authorization_endpoint(self) -> str:
        return f"{self.settings.issuer}/login/oauth/authorize"

    def _redeem(self, came_back: Return, attempt: Attempt) -> VouchedIdentity:
        site = f"{self.settings.issuer}/login/oauth"
        if came_back.issuer not in {None, site}:
            raise ProviderAnswerInvalid
        tokens = self._tokens(f"{site}/access_token", "client_secret_post", came_back, attempt)
        bearer = tokens.get("access_token")
        if not isinstance(bearer, str) or not re.fullmatch(r"[!-~]{1,1024}", bearer):
            raise ProviderAnswerInvalid
        api, accept = self.settings.api or "https://api.github.com", "application/vnd.github+json"
        user = fetch_json(f"{api}/user", bearer=bearer, accept=accept)
        emails = fetch_json(f"{api}/user/emails", bearer=bearer, accept=accept)
        if not isinstance(user, dict) or type(user.get("id")) is not int or not isinstance(emails, list):
            raise ProviderAnswerInvalid
        primary = next((one for one in emails if isinstance(one, dict) and one.get("primary") is True), {})
        return vouched(
            self.settings.name,
            str(user["id"]),  # names change their owners
            email=primary.get("email"),
            email_verified=primary.get("verified") is True,
            name=user.get("name"),
        )


KINDS: dict[str, type[Provider]] = {
    "apple": Apple,
    "github": GitHub,
    "google": OpenIdProvider,
    "microsoft": Microsoft,
    "oidc": OpenIdProvider,
}


def provider(settings: ProviderSettings) -> Provider:
    """The provider of these settings; what it publishes is fetched when it is needed."""
    return KINDS[settings.kind](settings)
