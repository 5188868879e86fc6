import json
import subprocess
import sys
from pathlib import Path

import pytest

from config import SettingsError, load
from config.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
STRONG = "kX3vQ9-tW7mB2zR5yN8cL1pJ6hG4fD0sA_eUoIqY"
OTHER = "Zr8_uT2yE5wQ7nM4bV1cX9kL6jH3gF0dS-aPoIuY"


@pytest.fixture
def production(tmp_path):
    return {
        "DEVFORGE_ENV": "production",
        "DEVFORGE_DATA_DIR": str(tmp_path),
        "DEVFORGE_DATABASE_URL": "postgresql://somewhere/devforge",
        "DEVFORGE_PUBLIC_URL": "https://api.example.com",
        "DEVFORGE_SECRET_KEY": STRONG,
        "DEVFORGE_MASTER_KEY": OTHER,
    }


@pytest.fixture
def development(tmp_path):
    return {"DEVFORGE_DATA_DIR": str(tmp_path / "data")}


def without(environ, name):
    return {key: value for key, value in environ.items() if key != name}


def test_development_is_the_default_and_needs_nothing(development):
    values = load(development)
    assert values["ENV"] == "development"
    assert values["DATABASE_URL"].endswith("/data/devforge.sqlite3")
    assert not values["REQUIRE_HTTPS"]


@pytest.mark.parametrize("env", ["staging", "production"])
def test_staging_and_production_require_https(production, env):
    values = load(production | {"DEVFORGE_ENV": env})
    assert values["REQUIRE_HTTPS"]


def test_an_unknown_environment_is_refused(development):
    with pytest.raises(SettingsError, match="development, testing, staging, production"):
        load(development | {"DEVFORGE_ENV": "prod"})


def test_a_misspelt_name_is_refused_with_the_near_one(development):
    with pytest.raises(SettingsError, match=r"DEVFORGE_REDIS_URI .* did you mean DEVFORGE_REDIS_URL\?"):
        load(development | {"DEVFORGE_REDIS_URI": "redis://localhost"})


def test_a_name_like_no_other_is_refused_with_a_way_to_find_them(development):
    with pytest.raises(SettingsError, match=r"docs/configuration\.md"):
        load(development | {"DEVFORGE_QQQQQQ": "1"})


def test_other_programs_variables_are_ignored(development):
    assert load(development | {"PATH": "/bin", "FLASK_DEBUG": "1"})["ENV"] == "development"


def test_an_empty_value_counts_as_unset(development):
    assert load(development | {"DEVFORGE_PORT": "", "DEVFORGE_REDIS_URL": ""})["PORT"] == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("MAIL_URL", "mail.example.com"),
        ("MAIL_URL", "https://mail.example.com"),
        ("MAIL_URL", "smtp://"),
        ("MAIL_URL", "smtps://me@mail.example.com"),
        ("MAIL_URL", "smtps://me:secret@mail.example.com/path"),
        ("MAIL_URL", "smtp+plain://me:secret@mail.example.com"),
        ("MAIL_FROM", "Dev Forge"),
        ("MAIL_FROM", "Dev Forge <no-reply>"),
        ("MAIL_FROM", "Dev Forge <no-reply@example.com>\nBcc: eve@example.com"),
        ("MAIL_FROM", "jörg@example.com"),
        ("ACCOUNT_PAGES_URL", "example.com/account"),
        ("ACCOUNT_PAGES_URL", "https://example.com/account#x"),
        ("PORT", "65536"),
        ("PORT", "8_000"),
        ("PORT", "٨٠٠٠"),
        ("PORT", "9" * 5000),
        ("WEB_THREADS", "-1"),
        ("TRUSTED_PROXIES", "yes"),
        ("SERVER", "flask"),
        ("LOG_LEVEL", "debug"),
        ("EMAIL_VERIFICATION", "true"),
        ("DATABASE_URL", "mysql://root@localhost/devforge"),
        ("REDIS_URL", "localhost:6379"),
        ("PUBLIC_URL", "api.example.com"),
        ("PUBLIC_URL", "https://api.example.com/?a=b"),
        ("PUBLIC_URL", "https://[::1"),
        ("LIMIT_USER", "0"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_with_its_name(development, name, value):
    with pytest.raises(SettingsError, match=f"^DEVFORGE_{name} must") as refusal:
        load(development | {f"DEVFORGE_{name}": value})
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "https://*.example.com",
        "https://example.com/",
        "https://example.com/path",
        "example.com",
        "https://user@example.com",
        "https://example.com, *",
        "null",
        "https://exam ple.com",
        "https://[::1",
    ],
)
def test_only_exact_origins_are_taken(development, origins):
    with pytest.raises(SettingsError, match=r"^DEVFORGE_CORS_ORIGINS '"):
        load(development | {"DEVFORGE_CORS_ORIGINS": origins})


def test_several_origins_are_read(development):
    given = "https://example.com, vscode-file://vscode-app,http://localhost:3000"
    found = load(development | {"DEVFORGE_CORS_ORIGINS": given})["CORS_ORIGINS"]
    assert found == ("https://example.com", "vscode-file://vscode-app", "http://localhost:3000")


def test_the_public_address_is_the_one_served_unless_given(development):
    assert load(development | {"DEVFORGE_PORT": "9000"})["PUBLIC_URL"] == "http://127.0.0.1:9000"
    assert load(development | {"DEVFORGE_HOST": "::1"})["PUBLIC_URL"] == "http://[::1]:8000"
    for everywhere in ("0.0.0.0", "::"):  # noqa: S104 - nothing is bound
        assert load(development | {"DEVFORGE_HOST": everywhere})["PUBLIC_URL"] == "http://127.0.0.1:8000"
    given = {"DEVFORGE_PUBLIC_URL": "https://api.example.com/"}
    assert load(development | given)["PUBLIC_URL"] == "https://api.example.com"


def test_several_web_processes_need_redis(development):
    many = development | {"DEVFORGE_WEB_WORKERS": "2"}
    with pytest.raises(SettingsError, match="DEVFORGE_REDIS_URL"):
        load(many)
    assert load(many | {"DEVFORGE_REDIS_URL": "redis://localhost"})["WEB_WORKERS"] == 2


@pytest.mark.parametrize("name", ["SECRET_KEY", "MASTER_KEY", "DATABASE_URL"])
def test_production_names_the_setting_that_it_misses(production, name):
    with pytest.raises(SettingsError, match=f"DEVFORGE_{name} must be set in production"):
        load(without(production, f"DEVFORGE_{name}"))


@pytest.mark.parametrize("public_url", [None, "http://api.example.com"])
def test_production_is_served_over_https(production, public_url):
    given = without(production, "DEVFORGE_PUBLIC_URL")
    with pytest.raises(SettingsError, match="DEVFORGE_PUBLIC_URL must be an https:// address"):
        load(given | ({"DEVFORGE_PUBLIC_URL": public_url} if public_url else {}))


@pytest.mark.parametrize("env", ["staging", "production"])
@pytest.mark.parametrize("name", ["SECRET_KEY", "MASTER_KEY"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("tr0ub4dor", "shorter than 32"),
        ("ab" * 30, "repeats"),
        ("please-CHANGEME-before-the-first-start-of-it", "well-known"),
        (f"{STRONG},tr0ub4dor", "shorter than 32"),
    ],
)
def test_weak_secrets_are_refused_where_it_counts(production, env, name, value, why):
    with pytest.raises(SettingsError, match=f"DEVFORGE_{name} .*{why}") as refusal:
        load(production | {"DEVFORGE_ENV": env, f"DEVFORGE_{name}": value})
    assert value not in str(refusal.value)


def test_a_secret_is_read_from_a_file(production, tmp_path):
    file = tmp_path / "secret"
    file.write_text(STRONG + "\n")
    given = without(production, "DEVFORGE_SECRET_KEY") | {"DEVFORGE_SECRET_KEY_FILE": str(file)}
    assert load(given)["SECRET_KEY"] == STRONG


@pytest.mark.parametrize("name", [s.name for s in SETTINGS if s.secret])
def test_every_secret_has_a_file_variant_that_must_be_readable(production, tmp_path, name):
    given = without(production, f"DEVFORGE_{name}") | {f"DEVFORGE_{name}_FILE": str(tmp_path / "absent")}
    with pytest.raises(SettingsError, match=f"DEVFORGE_{name}_FILE cannot be read"):
        load(given)


def test_a_file_that_is_not_text_is_refused(production, tmp_path):
    (tmp_path / "secret").write_bytes(b"\xff\xfe\x00")
    given = without(production, "DEVFORGE_SECRET_KEY")
    with pytest.raises(SettingsError, match="DEVFORGE_SECRET_KEY_FILE"):
        load(given | {"DEVFORGE_SECRET_KEY_FILE": str(tmp_path / "secret")})


def test_a_secret_in_both_places_is_refused(production, tmp_path):
    with pytest.raises(SettingsError, match="not both"):
        load(production | {"DEVFORGE_SECRET_KEY_FILE": str(tmp_path / "any")})


def test_what_is_no_secret_has_no_file_variant(development):
    with pytest.raises(SettingsError, match="DEVFORGE_PORT_FILE is not a setting"):
        load(development | {"DEVFORGE_PORT_FILE": "/any"})


def test_a_rotated_secret_is_given_as_new_and_old(production):
    values = load(production | {"DEVFORGE_SECRET_KEY": f"{OTHER[::-1]}, {STRONG}"})
    assert values["SECRET_KEYS"] == (OTHER[::-1], STRONG)
    assert (values["SECRET_KEY"], values["SECRET_KEY_FALLBACKS"]) == (OTHER[::-1], [STRONG])


def test_development_secrets_are_made_once_and_for_their_owner_alone(development, tmp_path):
    first, second = load(development), load(development)
    assert first["SECRET_KEYS"] == second["SECRET_KEYS"]
    assert first["MASTER_KEYS"] == second["MASTER_KEYS"] != first["SECRET_KEYS"]
    file = tmp_path / "data" / "secrets.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("damaged", ["", "{", "[]", "{}", '{"SECRET_KEY": "a"}', '{"SECRET_KEY": 1}', "null"])
def test_a_damaged_file_of_secrets_is_refused_and_kept(development, tmp_path, damaged):
    load(development)
    file = tmp_path / "data" / "secrets.json"
    file.write_text(damaged)
    with pytest.raises(SettingsError, match="damaged"):
        load(development)
    assert file.read_text() == damaged


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="DEVFORGE_DATA_DIR"):
        load({"DEVFORGE_DATA_DIR": str(tmp_path / "file" / "data")})


def test_the_data_folder_is_made_also_when_the_secrets_are_given(development, tmp_path):
    load(development | {"DEVFORGE_SECRET_KEY": STRONG, "DEVFORGE_MASTER_KEY": OTHER})
    assert (tmp_path / "data").is_dir()


def test_processes_started_at_once_agree_on_their_secrets(development):
    script = (
        "import json, os, sys; from config import load; sys.stdin.readline();"
        "values = load(os.environ); print(json.dumps([values['SECRET_KEYS'], values['MASTER_KEYS']]))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=development,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in processes:  # all of them have been started: go
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [json.loads(process.communicate()[0]) for process in processes]
    assert all(secrets == found[0] for secrets in found)


def test_links_lead_to_the_built_in_pages_unless_others_are_named(production):
    assert load(production)["ACCOUNT_PAGES_URL"] == "https://api.example.com/account"
    own = {"DEVFORGE_ACCOUNT_PAGES_URL": "https://example.com/me/"}
    assert load(production | own)["ACCOUNT_PAGES_URL"] == "https://example.com/me"


@pytest.mark.parametrize(
    "url",
    ["smtps://me:p%40ss@mail.example.com:465", "smtp://mail.example.com", "smtp+plain://127.0.0.1:25/"],
)
def test_a_mail_server_is_named_by_an_address(development, url):
    assert load(development | {"DEVFORGE_MAIL_URL": url})["MAIL_URL"] == url
