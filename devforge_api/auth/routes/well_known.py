"""What the authorization server tells of itself: its metadata and its public keys."""

from __future__ import annotations

from flask import Response

from devforge_api.auth.routes.oauth import SCOPES, oauth
from devforge_api.auth.routes.oauth_grants import issuer
from devforge_api.auth.service import clients
from devforge_api.core.keys import KEYS_MAX_AGE, KeyPurpose, keyring
from devforge_api.core.languages import LANGUAGES
from devforge_api.core.responses import published
from devforge_api.core.security import public


@oauth.get("/.well-known/oauth-authorization-server")
@public()
def metadata() -> Response:
    """Say what there is, and where (RFC 8414)."""
    own = issuer()
    return published(
        {
            "issuer": own,
            "authorization_endpoint": f"{own}/oauth/authorize",
            "token_endpoint": f"{own}/oauth/token",
            "revocation_endpoint": f"{own}/oauth/revoke",
            "device_authorization_endpoint": f"{own}/oauth/device_authorization",
            "jwks_uri": f"{own}/.well-known/jwks.json",
            "scopes_supported": sorted(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": [clients.CODE, clients.REFRESH, clients.DEVICE],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "ui_locales_supported": list(LANGUAGES),
            "service_documentation": f"{own}/docs",
        },
        max_age=KEYS_MAX_AGE,
    )


@oauth.get("/.well-known/jwks.json")
@public()
def jwks() -> Response:
    """Publish the keys by which our access tokens are verified, retired ones while they are kept."""
    return published(keyring(KeyPurpose.TOKENS).key_set(), max_age=KEYS_MAX_AGE)
