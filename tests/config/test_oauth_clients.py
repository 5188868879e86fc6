"""How clients of the authorization server are configured."""

import json

import pytest

from config import SettingsError, load

CODE = "authorization_code"
GOOD = {"client_id": "acme", "name": "Acme", "redirect_uris": ["acme://back"], "grants": [CODE]}


def read(tmp_path, *clients, **more):
    given = {"DEVFORGE_OAUTH_CLIENTS": json.dumps(clients)} if clients else {}
    return load({"DEVFORGE_ENV": "testing", "DEVFORGE_DATA_DIR": str(tmp_path), **given, **more})


def test_clients_are_read_from_the_setting_or_from_a_file(tmp_path):
    assert read(tmp_path, GOOD)["OAUTH_CLIENTS"] == (GOOD,)
    file = tmp_path / "clients.json"
    file.write_text(json.dumps([GOOD]))
    assert read(tmp_path, DEVFORGE_OAUTH_CLIENTS_FILE=str(file))["OAUTH_CLIENTS"] == (GOOD,)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1/callback", "http://[::1]/x", "https://tool.example.com/back", "com.acme:/back"]
)
def test_addresses_that_belong_to_an_application_are_taken(tmp_path, uri):
    assert read(tmp_path, {**GOOD, "redirect_uris": [uri]})


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost/callback", "http://127.0.0.1:8000/callback", "http://127.0.0.1", "http://example.com/x",
        "https://ada@example.com/x", "https://example.com/*", "https://example.com/x#y", "https://example.com",
        "javascript:alert(1)//", "data:text/html,/", "file:///etc/passwd", "//example.com/x", "acme", "",
        "https://[::1/x", "acme://back\\x", "acme://b ack", "intent://x/y",
    ],
)  # fmt: skip
def test_addresses_that_anybody_could_listen_at_are_refused(tmp_path, uri):
    with pytest.raises(SettingsError, match=r"DEVFORGE_OAUTH_CLIENTS has .* as a redirect_uri"):
        read(tmp_path, {**GOOD, "redirect_uris": [uri]})


@pytest.mark.parametrize(
    "client",
    [
        {"client_id": "Acme!"}, {"client_id": None}, {"name": ""}, {"name": "a\nb"}, {"grants": ["password"]},
        {"grants": CODE}, {"redirect_uris": []}, {"redirect_uris": [1]}, {"secret": "x"},
    ],
)  # fmt: skip
def test_a_client_that_makes_no_sense_is_refused_with_a_sentence(tmp_path, client):
    with pytest.raises(SettingsError, match=r"^DEVFORGE_OAUTH_CLIENTS [a-z].*\.$"):
        read(tmp_path, {**GOOD, **client})


@pytest.mark.parametrize("text", ["{}", "[1]", "nonsense"])
def test_what_is_no_list_of_clients_is_refused(tmp_path, text):
    with pytest.raises(SettingsError, match="DEVFORGE_OAUTH_CLIENTS must be"):
        read(tmp_path, DEVFORGE_OAUTH_CLIENTS=text)


def test_a_client_that_is_listed_twice_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="twice"):
        read(tmp_path, GOOD, GOOD)
