import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from sqlalchemy import delete, insert, select, update

from devforge_api.app import create_app
from devforge_api.core import keys
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import decrypt, encrypt
from devforge_api.core.keys import SETTLING, KeyPurpose, SigningKey, ensure_signing_keys, keyring, rotate
from tests.factories import code_of

TABLE = db.metadata.tables["signing_keys"]
MAKE = """
import sys
from devforge_api.app import create_app
from devforge_api.core.keys import ensure_signing_keys
app = create_app()
with app.app_context():
    print("ready", flush=True)
    sys.stdin.readline()
    ensure_signing_keys()
"""


@pytest.fixture
def without_keys(app):
    """The table emptied; afterwards as it was, for the other tests' tokens."""
    with app.app_context():
        with db.engine.begin() as connection:
            kept = [dict(row._mapping) for row in connection.execute(select(*TABLE.columns))]
            connection.execute(delete(SigningKey))
        yield
        with db.engine.begin() as connection:
            connection.execute(delete(SigningKey))
            connection.execute(insert(TABLE), kept)


def kids():
    with db.engine.connect() as connection:
        of_tokens = select(SigningKey.kid).where(SigningKey.purpose == KeyPurpose.TOKENS)
        return list(connection.scalars(of_tokens.order_by(SigningKey.created_at)))


@pytest.mark.usefixtures("without_keys")
def test_processes_started_at_once_make_one_key(environ):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert len(kids()) == 1


@pytest.mark.usefixtures("without_keys")
def test_a_key_made_by_a_faster_process_is_taken_over(environ):
    def ring():
        app = create_app(environ)
        with app.app_context():
            made = keys.Keyring(KeyPurpose.TOKENS)
            made._load()
        return app, made

    (app, slow), (_, fast) = ring(), ring()
    with app.app_context():
        fast.ensure()
        keys._make_first(
            db.engine, KeyPurpose.TOKENS
        )  # where the slow one stood before the fast one's commit
        slow.ensure()
        assert slow.signing().kid == fast.signing().kid
        db.engine.dispose()
    assert len(kids()) == 1


@pytest.mark.usefixtures("without_keys")
def test_without_a_key_nobody_can_sign_in_unless_it_can_be_made_now(make_api, on_postgresql):
    api = make_api()
    body = {"email": "ada@example.com", "password": "staple orbit lantern"}
    first = api.post("/auth/register", body)
    if on_postgresql:  # a second connection may write while the request's own transaction is open
        assert first.status_code == 201
        assert len(kids()) == 1
        return
    assert (first.status_code, code_of(first)) == (503, "SERVICE_UNAVAILABLE")
    with api.app.app_context():
        ensure_signing_keys()
    assert api.post("/auth/register", body).status_code == 201


@pytest.mark.usefixtures("context")
def test_the_private_half_is_encrypted_at_rest():
    with db.engine.connect() as connection:
        stored = connection.scalar(select(SigningKey.private_key))
    assert stored is not None
    assert "PRIVATE KEY" not in stored
    assert decrypt(stored).startswith("-----BEGIN PRIVATE KEY-----")


@pytest.mark.usefixtures("without_keys")
def test_a_retired_key_still_verifies_and_no_longer_signs(make_api):
    api = make_api()
    with api.app.app_context():
        ensure_signing_keys()
    old = api.person()
    with api.app.app_context(), unit_of_work():
        kid = rotate(KeyPurpose.TOKENS)
        ten_seconds_ago = {"created_at": utc_now() - SETTLING}
        db.session.execute(update(SigningKey).where(SigningKey.kid == kid).values(ten_seconds_ago))
        oldest = {"created_at": utc_now() - 2 * SETTLING}
        db.session.execute(update(SigningKey).where(SigningKey.kid != kid).values(oldest))
    rotated = make_api()
    new = rotated.person()
    kid_of = [jwt.get_unverified_header(person.access_token)["kid"] for person in (old, new)]
    assert kid_of == kids()
    assert rotated.get("/auth/me", by=old).status_code == 200
    assert rotated.get("/auth/me", by=new).status_code == 200


def test_a_token_of_a_key_made_elsewhere_is_known_at_once(make_api, without_keys):
    reader = make_api()
    with reader.app.app_context():
        ensure_signing_keys()
        first = keyring(KeyPurpose.TOKENS)
        assert first.signing().kid in kids()
        with db.engine.begin() as connection:
            connection.execute(update(SigningKey).values(retired_at=utc_now()))
    maker = make_api()
    with maker.app.app_context():
        ensure_signing_keys()
    assert reader.get("/auth/me", by=maker.person()).status_code == 200


def test_strangers_kids_cost_one_query_in_five_seconds(make_api, count_queries, monkeypatch):
    monkeypatch.setattr(keys, "UNKNOWN_KID_PAUSE", 1000.0)  # longer than any machine takes for this
    api = make_api()
    api.get("/auth/me", by=api.person())

    def ask(number):
        token = jwt.encode({"sub": "x"}, "k" * 40, headers={"kid": f"stranger-{number}"})
        return code_of(api.get("/auth/me", headers={"Authorization": f"Bearer {token}"}))

    with count_queries() as statements, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(40))) == {"TOKEN_INVALID"}
    assert len(statements) <= 1


def test_secrets_are_readable_while_the_master_key_is_rotated_and_not_after(make_api):
    old = make_api().app
    new_key = "another-master-key-of-more-than-32-characters"
    rotating = make_api(DEVFORGE_MASTER_KEY=f"{new_key},{old.config['MASTER_KEYS'][0]}").app
    rotated = make_api(DEVFORGE_MASTER_KEY=new_key).app
    with old.app_context():
        before = encrypt("a secret")
    with rotating.app_context():
        assert decrypt(before) == "a secret"
        after = encrypt("a secret")
    with rotated.app_context():
        assert decrypt(after) == "a secret"
        with pytest.raises(ValueError, match="DEVFORGE_MASTER_KEY"):
            decrypt(before)
    with old.app_context(), pytest.raises(ValueError, match="DEVFORGE_MASTER_KEY"):
        decrypt(after[:-4] + "AAAA")


@pytest.mark.usefixtures("without_keys")
def test_a_remembered_token_dies_with_its_key(make_api):
    api = make_api()
    with api.app.app_context():
        ensure_signing_keys()
    person = api.person()
    assert api.get("/auth/me", by=person).status_code == 200
    with api.app.app_context():
        with db.engine.begin() as connection:
            connection.execute(delete(SigningKey))
        keyring(KeyPurpose.TOKENS).ensure()
    assert code_of(api.get("/auth/me", by=person)) == "TOKEN_INVALID"
