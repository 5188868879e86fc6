"""What the authorization server tells of itself: its metadata and its public keys."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Response

from devforge_api.auth.routes.oauth import SCOPES, oauth
from devforge_api.auth.routes.oauth_grants import issuer
from devforge_api.auth.service import clients
from devforge_api.core.application import Answer
from devforge_api.core.json import dump
from devforge_api.core.keys import KeyPurpose, keyring
from devforge_api.core.languages import LANGUAGES
from devforge_api.core.responses import add_entity_tag
from devforge_api.core.security import public

KEYS_MAX_AGE = 300  # seconds for which others may keep our public keys


@oauth.get("/.well-known/oauth-authorization-server")
@public()
def metadata() -> Response:
    """Say what there is, and where (RFC 8414)."""
    own = issuer()
    return _published(
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
        }
    )


@oauth.get("/.well-known/jwks.json")
@public()
def jwks() -> Response:
    """Publish the keys by which our access tokens are verified, retired ones while they are kept."""
    return _published(
        {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": base64.urlsafe_b64encode(pair.public.public_bytes(Encoding.Raw, PublicFormat.Raw))
                    .decode()
                    .rstrip("="),
                    "kid": pair.kid,
                    "use": "sig",
                    "alg": "EdDSA",
                }
                for pair in keyring(KeyPurpose.TOKENS).all()
            ]
        }
    )


def _published(document: dict[str, Any]) -> Response:
    response = Answer(dump(document), mimetype="application/json")
    response.headers["Cache-Control"] = f"public, max-age={KEYS_MAX_AGE}"
    return add_entity_tag(response)
