"""What is accepted as the configuration of identity providers, and how the rest is refused."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import config
from config import SettingsError
from config.providers import read_providers
from devforge_api.app import create_app

CLIENT = {"client_id": "an-id", "client_secret": "very-secret"}


def pem(curve):
    key = generate_private_key(curve)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


APPLE = {"client_id": "com.example", "team_id": "T", "key_id": "K", "private_key": pem(SECP256R1())}


def read(**providers):
    return read_providers(json.dumps(providers))


def test_the_common_ones_need_little():
    found = read(google=CLIENT, github=CLIENT, microsoft={**CLIENT, "tenant": "organizations"}, apple=APPLE)
    assert [(name, one.kind, one.label, one.issuer) for name, one in found.items()] == [
        ("google", "google", "Google", "https://accounts.google.com"),
        ("github", "github", "GitHub", "https://github.com"),
        ("microsoft", "microsoft", "Microsoft", "https://login.microsoftonline.com/organizations/v2.0"),
        ("apple", "apple", "Apple", "https://appleid.apple.com"),
    ]


def test_any_other_one_is_named_with_its_kind():
    acme = {"kind": "oidc", "issuer": "https://id.acme.example", "client_id": "x", "label": "ACME Inc."}
    ghe = {"kind": "github", "issuer": "https://ghe.example", "api": "https://ghe.example/api/v3", **CLIENT}
    local = {"kind": "oidc", "issuer": "http://127.0.0.1:9000", "client_id": "x"}
    found = read(acme=acme, ghe=ghe, **{"my-local": local})
    assert found["acme"].client_secret is None
    assert found["ghe"].api == "https://ghe.example/api/v3"
    assert found["my-local"].label == "My Local"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "must be JSON"),
        ("[" * 100_000, "must be"),
        ("[]", "must be a JSON object"),
        ("{}", "must be a JSON object"),
        ('{"google": 5}', "must be a JSON object"),
        ('{"google": {}, "google": {}}', "same name twice"),
        ('{"google": {}}', "'client_id'"),
        ('{"Google": {}}', "lower-case"),
        ('{"../x": {}}', "lower-case"),
        ('{"acme": {"client_id": "x"}}', "of which kind"),
        ('{"acme": {"kind": 5}}', "of which kind"),
        ('{"acme": {"kind": "saml"}}', "of which kind"),
        ('{"acme": {"kind": "oidc", "client_id": "x"}}', "'issuer'"),
        ('{"google": {"client_id": "x", "client_secret": ""}}', "'client_secret'"),
        ('{"google": {"client_id": "x", "client_secret": 5}}', "'client_secret'"),
        ('{"google": {"client_id": "x", "client_secret": "y", "secret": "z"}}', "unknown 'secret'"),
        (
            '{"a": {"kind": "oidc", "issuer": "https://x", "client_id": "x", "auth_method": "y"}}',
            "auth_method",
        ),
        ('{"microsoft": {"client_id": "x", "client_secret": "y", "tenant": "a/b"}}', "tenant"),
        ('{"google": {"client_id": "x", "client_secret": "y", "label": "a\\nb"}}', "label"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_providers(text)


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.acme.example", "ftp://x", "id.acme.example", "https://", "https://user@id.acme.example",
        "https://id.acme.example/#x", "https://id acme.example", "http://127.0.0.1.evil.example",
        "http://localhost.evil.example", "https://id.acme.example:99999", "https://[::1",
        "javascript:alert(1)",
        "https:\\\\id.acme.example",
    ],
)  # fmt: skip
def test_an_issuer_is_https_or_on_this_machine(issuer):
    with pytest.raises(ValueError, match="https"):
        read(acme={"kind": "oidc", "issuer": issuer, "client_id": "x"})


@pytest.mark.parametrize("key", ["", "x", pem(SECP384R1()), pem(SECP256R1())[:-40]])
def test_apple_s_key_is_checked_at_start(key):
    with pytest.raises(ValueError, match="private_key"):
        read(apple={**APPLE, "private_key": key})


def test_the_server_does_not_start_with_a_wrong_one_and_says_why_without_secrets(tmp_path):
    environ = {
        "DEVFORGE_DATA_DIR": str(tmp_path),
        "DEVFORGE_IDENTITY_PROVIDERS": json.dumps({"google": {**CLIENT, "x": "very-secret"}}),
    }
    with pytest.raises(SettingsError, match=r"DEVFORGE_IDENTITY_PROVIDERS .* unknown 'x'") as refused:
        config.load(environ)
    assert "very-secret" not in str(refused.value)


def test_they_may_stand_in_a_file_and_are_never_printed(tmp_path):
    (tmp_path / "providers.json").write_text(json.dumps({"google": CLIENT, "apple": APPLE}))
    environ = {
        "DEVFORGE_DATA_DIR": str(tmp_path),
        "DEVFORGE_IDENTITY_PROVIDERS_FILE": str(tmp_path / "providers.json"),
    }
    app = create_app(environ)
    listed = app.test_cli_runner().invoke(args=["settings", "--json"])
    assert "DEVFORGE_IDENTITY_PROVIDERS" in listed.output
    shown = listed.output + repr(app.config["IDENTITY_PROVIDERS"])
    assert "very-secret" not in shown
    assert "PRIVATE KEY" not in shown


@pytest.mark.parametrize(
    "redirect",
    [
        "example.com", "//example.com", "https:example.com", "https:/example.com", "https://", "http://example.com",
        "https://u@example.com", "https://example.com/#", "https://exa mple.com", "https://example.com\\x",
        "javascript://example.com/%0aalert(1)", "data://x", "file:///etc/passwd", "JavaScript://x",
        "devforge:done", "devforge://u@x", "1x://y",
    ],
)  # fmt: skip
def test_a_result_is_sent_to_nothing_a_browser_would_run_or_mistake(tmp_path, redirect):
    environ = {"DEVFORGE_DATA_DIR": str(tmp_path), "DEVFORGE_SIGN_IN_REDIRECTS": redirect}
    with pytest.raises(SettingsError, match="DEVFORGE_SIGN_IN_REDIRECTS"):
        config.load(environ)


def test_results_may_go_to_a_website_an_app_and_a_developer_s_own_machine(tmp_path):
    listed = "https://example.com/signed-in?x=1,devforge://signed-in, http://localhost:3000/in"
    environ = {"DEVFORGE_DATA_DIR": str(tmp_path), "DEVFORGE_SIGN_IN_REDIRECTS": listed}
    assert config.load(environ)["SIGN_IN_REDIRECTS"] == (
        "https://example.com/signed-in?x=1",
        "devforge://signed-in",
        "http://localhost:3000/in",
    )
