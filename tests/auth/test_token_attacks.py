"""What a token must not be. The forged ones are signed by the server's own key: where a rule is
missing, they are let in.
"""

import hmac
import time
from hashlib import sha256
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.auth.conftest import Forge, b64, unpacked
from tests.factories import code_of

NOW = int(time.time())


def hs256(forge: Forge, key: bytes) -> str:
    text = f"{b64({**forge.header, 'alg': 'HS256'})}.{b64(forge.claims)}"
    return f"{text}.{b64(hmac.digest(key, text.encode(), sha256))}"


def public_bytes(forge: Forge, encoding: Encoding, form: PublicFormat) -> bytes:
    return forge.pair.public.public_bytes(encoding, form)


def own_jwk(forge: Forge) -> tuple[ed25519.Ed25519PrivateKey, dict[str, str]]:
    private = ed25519.Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return private, {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), "kid": forge.pair.kid}


def with_own_key(forge: Forge, **header: object) -> str:
    private, jwk = own_jwk(forge)
    text = f"{b64({**forge.header, **header, 'jwk': jwk})}.{b64(forge.claims)}"
    return f"{text}.{b64(private.sign(text.encode()))}"


def by_another_algorithm(forge: Forge, algorithm: str, key: object) -> str:
    return jwt.encode(forge.claims, key, algorithm=algorithm, headers={"kid": forge.pair.kid})  # type: ignore[arg-type]


def header(**values: object):
    return lambda forge: forge.token(header=values)


def claims(**values: object):
    return lambda forge: forge.token(**values)


def unsigned(algorithm: str, ending: str = "."):
    return lambda forge: f"{b64({**forge.header, 'alg': algorithm})}.{b64(forge.claims)}{ending}"


INVALID = {
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg nOnE": unsigned("nOnE"),
    "alg none without third part": unsigned("none", ""),
    "alg none with a signature": lambda f: unsigned("none")(f) + f.person.access_token.split(".")[2],
    "alg missing": header(alg=...),
    "alg null": header(alg=None),
    "alg list": header(alg=["EdDSA"]),
    "HS256 by the public key, raw": lambda f: hs256(f, public_bytes(f, Encoding.Raw, PublicFormat.Raw)),
    "HS256 by the public key, PEM": lambda f: hs256(
        f, public_bytes(f, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "HS256 by the public key, DER": lambda f: hs256(
        f, public_bytes(f, Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ),
    "HS256 by the empty key": lambda f: hs256(f, b""),
    "HS256 by the kid": lambda f: hs256(f, f.pair.kid.encode()),
    "RS256": lambda f: by_another_algorithm(f, "RS256", rsa.generate_private_key(65537, 2048)),
    "ES256": lambda f: by_another_algorithm(f, "ES256", ec.generate_private_key(ec.SECP256R1())),
    "alg says RS256, signed as EdDSA": header(alg="RS256"),
    "alg says ES256, signed as EdDSA": header(alg="ES256"),
    "alg says Ed25519": header(alg="Ed25519"),
    "a key of its own in jwk": with_own_key,
    "a key of its own, no kid": lambda f: with_own_key(f, kid=None),
    "jwk": header(jwk={"kty": "OKP"}),
    "jku": header(jku="https://evil.example/jwks.json"),
    "x5u": header(x5u="https://evil.example/cert.pem"),
    "x5c": header(x5c=["MIIB"]),
    "x5t": header(x5t="AAAA"),
    "crit": header(crit=["exp"]),
    "crit empty": header(crit=[]),
    "b64 false": header(b64=False, crit=["b64"]),
    "zip": header(zip="DEF"),
    "cty": header(cty="JWT"),
    "kid of a file": header(kid="../../../../dev/null"),
    "kid of SQL": header(kid="' OR 1=1 --"),
    "kid with NUL": header(kid="a\0b"),
    "kid with half a surrogate pair": header(kid="\ud800"),
    "kid list": lambda f: f.token(header={"kid": [f.pair.kid]}),
    "kid object": header(kid={"kid": "a"}),
    "kid number": header(kid=1),
    "kid null": header(kid=None),
    "kid empty": header(kid=""),
    "kid missing": header(kid=...),
    "kid unknown": header(kid="0199f0a07c1e7a548d3f6f1f3d1b2c4d"),
    "kid in capitals": lambda f: f.token(header={"kid": f.pair.kid.upper()}),
    "typ at+jwt": header(typ="at+jwt"),
    "typ refresh": header(typ="refresh"),
    "typ lower case": header(typ="jwt"),
    "typ missing": header(typ=...),
    "a refresh token": lambda f: f.person.refresh_token,
    "type refresh": claims(type="refresh"),
    "type reset": claims(type="reset"),
    "type verify": claims(type="verify"),
    "type list": claims(type=["access"]),
    "type missing": claims(type=...),
    "aud of another": claims(aud="other-api"),
    "aud list with ours": claims(aud=["dev-forge-api", "other-api"]),
    "aud missing": claims(aud=...),
    "iss of another": claims(iss="evil"),
    "iss list": claims(iss=["dev-forge"]),
    "iss missing": claims(iss=...),
    "exp missing": claims(exp=...),
    "exp null": claims(exp=None),
    "exp text": claims(exp=str(NOW + 600)),
    "exp fraction": claims(exp=NOW + 600.5),
    "exp infinite": claims(exp=float("inf")),
    "iat missing": claims(iat=...),
    "iat in the future": claims(iat=NOW + 3600),
    "iat text": claims(iat=str(NOW)),
    "nbf missing": claims(nbf=...),
    "nbf in the future": claims(nbf=NOW + 3600),
    "jti missing": claims(jti=...),
    "jti number": claims(jti=1),
    "sub missing": claims(sub=...),
    "sub number": claims(sub=1),
    "sub list": claims(sub=["a"]),
    "sub null": claims(sub=None),
    "sub no UUID": claims(sub="admin"),
    "sub with NUL": claims(sub="a\0b"),
    "sid missing": claims(sid=...),
    "sid number": claims(sid=7),
    "sid no UUID": claims(sid="7"),
    "ver missing": claims(ver=...),
    "ver true": claims(ver=True),
    "ver text": claims(ver="1"),
    "ver fraction": claims(ver=1.0),
    "ver null": claims(ver=None),
    "role missing": claims(role=...),
    "role unknown": claims(role="root"),
    "role list": claims(role=["admin"]),
    "claims that are a list": lambda f: _signed_bytes(f, b"[1]"),
    "claims that are no JSON": lambda f: _signed_bytes(f, b"{"),
    "claims nested 600 deep": lambda f: _signed_bytes(f, b'{"a":' * 600 + b"1" + b"}" * 600),
    "truncated": lambda f: f.person.access_token[:-10],
    "without signature": lambda f: f.person.access_token.rpartition(".")[0] + ".",
    "two parts": lambda f: f.person.access_token.rpartition(".")[0],
    "four parts": lambda f: f.person.access_token + ".AAAA",
    "trailing =": lambda f: f.person.access_token + "=",
    "trailing ==": lambda f: f.person.access_token + "==",
    "claims changed": lambda f: _with_part(f, 1, b64({**f.claims, "role": "admin"})),
    "signature of another token": lambda f: _with_part(f, 2, f.token(jti="other").split(".")[2]),
    "whitespace inside": lambda f: f.person.access_token.replace(".", ". ", 1),
    "tab inside": lambda f: f.person.access_token.replace(".", "\t.", 1),
    "embedded NUL": lambda f: f.person.access_token.replace(".", "\0.", 1),
    "trailing NUL": lambda f: f.person.access_token + "\0",
    "10 KB": lambda f: f.token(padding="x" * 10_000),
    "10 KB of dots": lambda f: "." * 10_000,
    "not ASCII": lambda f: f.person.access_token + "\xe9",
    "two tokens": lambda f: f"{f.person.access_token},{f.person.access_token}",
    "garbage": lambda f: "garbage",
}
EXPIRED = {
    "expired": claims(iat=NOW - 1000, nbf=NOW - 1000, exp=NOW - 100),
    "expired just now": claims(exp=NOW - 1),
    "expired in 1970": claims(exp=0),
    "exp true": claims(exp=True),  # PyJWT reads it as 1
}
REVOKED = {
    "a session that is not there": claims(sid=str(uuid4())),
    "a user that is not there": claims(sub=str(uuid4())),
    "a version that is past": claims(ver=0),
}


def _signed_bytes(forge: Forge, body: bytes) -> str:
    text = f"{b64(forge.header)}.{b64(body)}"
    return f"{text}.{b64(forge.pair.private.sign(text.encode()))}"


def _with_part(forge: Forge, place: int, part: str) -> str:
    parts = forge.person.access_token.split(".")
    parts[place] = part
    return ".".join(parts)


def refused(api, authorization: str, code: str) -> None:
    answer = api.get("/auth/me", headers={"Authorization": authorization})
    assert (answer.status_code, code_of(answer)) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="dev-forge"')
    assert answer.json["error"]["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        pytest.param(make, code, id=f"{name} → {code}")
        for table, code in ((INVALID, "TOKEN_INVALID"), (EXPIRED, "TOKEN_EXPIRED"))
        for name, make in table.items()
    ],
)
def test_a_forged_token_is_refused(api, forge, make, code):
    refused(api, f"Bearer {make(forge)}", code)


def test_the_forge_itself_makes_tokens_that_are_let_in(calls, forge):
    assert calls.me(forge.person.access_token).status_code == 200
    assert calls.me(forge.token()).status_code == 200
    assert calls.me(forge.token(header={}, more="claims")).status_code == 200


@pytest.mark.parametrize("make", REVOKED.values(), ids=list(REVOKED))
def test_a_signed_token_of_nothing_that_exists_is_refused_by_the_database(calls_with, forge, make):
    refused(calls_with(REDIS_URL=None).api, f"Bearer {make(forge)}", "TOKEN_REVOKED")


@pytest.mark.parametrize(
    ("scheme", "code"),
    [
        ("Basic dXNlcjpwYXNz", "TOKEN_INVALID"),
        ("Bearer", "TOKEN_INVALID"),
        ("Bearer ", "TOKEN_INVALID"),
        ("Token {}", "TOKEN_INVALID"),
        ("Bearer{}", "TOKEN_INVALID"),
        ("Bearer: {}", "TOKEN_INVALID"),
        ('Bearer "{}"', "TOKEN_INVALID"),
        ("{}", "TOKEN_INVALID"),
        ("", "TOKEN_MISSING"),
        ("   ", "TOKEN_MISSING"),
    ],
)
def test_other_schemes_are_not_let_in(api, scheme, code):
    refused(api, scheme.format(api.person().access_token), code)


def test_no_header_is_a_missing_token(api):
    answer = api.get("/auth/me")
    assert (answer.status_code, code_of(answer)) == (401, "TOKEN_MISSING")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="dev-forge"'


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_case_of_the_scheme_does_not_matter(api, scheme):
    token = api.person().access_token
    assert api.get("/auth/me", headers={"Authorization": f"{scheme} {token}"}).status_code == 200


def test_a_token_of_a_server_whose_clock_is_a_little_ahead_is_let_in(calls, forge):
    soon = int(time.time()) + 2
    assert calls.me(forge.token(iat=soon, nbf=soon)).status_code == 200


REFRESH_ATTACKS = {
    "an access token": lambda f, claims: f.token(),
    "type access": lambda f, claims: f.signed(f.header, {**claims, "type": "access"}),
    "type reset": lambda f, claims: f.signed(f.header, {**claims, "type": "reset"}),
    "no type": lambda f, claims: f.signed(f.header, {k: v for k, v in claims.items() if k != "type"}),
    "alg none": lambda f, claims: f"{b64({**f.header, 'alg': 'none'})}.{b64(claims)}.AAAA",
    "jti of another session": lambda f, claims: f.signed(f.header, {**claims, "jti": f"{uuid4()}.0"}),
    "jti without counter": lambda f, claims: f.signed(f.header, {**claims, "jti": claims["sid"]}),
    "jti with a counter beyond integers": lambda f, claims: f.signed(
        f.header, {**claims, "jti": f"{claims['sid']}.{10**30}"}
    ),
    "jti with words for a counter": lambda f, claims: f.signed(
        f.header, {**claims, "jti": f"{claims['sid']}.zero"}
    ),
    "aud of another": lambda f, claims: f.signed(f.header, {**claims, "aud": "other"}),
    "jku": lambda f, claims: f.signed({**f.header, "jku": "https://evil.example"}, claims),
    "truncated": lambda f, claims: f.person.refresh_token[:-5],
    "trailing =": lambda f, claims: f.person.refresh_token + "=",
    "leading space": lambda f, claims: " " + f.person.refresh_token,
}


@pytest.mark.parametrize("make", REFRESH_ATTACKS.values(), ids=list(REFRESH_ATTACKS))
def test_a_forged_refresh_token_is_refused_and_ends_nothing(calls, forge, make):
    refused = calls.refresh(make(forge, unpacked(forge.person.refresh_token)[1]))
    assert (refused.status_code, code_of(refused)) == (401, "TOKEN_INVALID")
    assert "WWW-Authenticate" in refused.headers
    assert calls.refresh(forge.person.refresh_token).status_code == 200


def test_a_refresh_token_of_one_session_in_anothers_name_is_refused(api, calls, forge):
    other = api.person()
    claims = unpacked(forge.person.refresh_token)[1]
    assert calls.refresh(forge.signed(forge.header, {**claims, "sub": str(other.id)})).status_code == 401
    assert calls.refresh(forge.person.refresh_token).status_code == 200


def test_an_expired_refresh_token_says_so(calls, forge):
    claims = unpacked(forge.person.refresh_token)[1]
    past = {**claims, "iat": NOW - 20, "nbf": NOW - 20, "exp": NOW - 10}
    refused = calls.refresh(forge.signed(forge.header, past))
    assert (refused.status_code, code_of(refused)) == (401, "TOKEN_EXPIRED")
