"""What the benchmarks put into the two databases gives like answers."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from benchmarks.peers import seed as peers_seed
from benchmarks.population import PASSWORD
from tests import servers

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.production_column("the benchmarks fill PostgreSQL, by COPY")

VERDICT = """
    SELECT CASE WHEN l.status <> 'active' THEN upper(l.status)
        WHEN l.expires_at <= now() THEN 'EXPIRED' ELSE 'VALID' END
    FROM licences l JOIN machines m ON m.licence_id = l.id
    WHERE l.key_hash = sha256(%s::bytea) AND m.fingerprint = %s
"""


@pytest.fixture
def material(app, tmp_path):
    """The application's database, filled by the command."""
    output = tmp_path / "material.json"
    volumes = ["--licenses", "60", "--users", "5", "--tokens", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.seed", output, *volumes],
        cwd=ROOT,
        env={**app.extensions["test-environ"], "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text())


@pytest.fixture
def peers_database():
    with servers.postgres_server() as server:
        name = servers.database_name("peers")
        url = make_url(servers.create_database(server, name))
        try:
            yield url.set(drivername="postgresql").render_as_string(hide_password=False)
        finally:
            servers.drop_database(server, name)


def test_both_databases_give_the_same_verdicts(client, material, peers_database):
    theirs = peers_seed.fill(peers_database, "s" * 32, license_count=60, users=5, tokens=3)
    assert theirs["pairs"] == [tuple(pair) for pair in material["pairs"]]
    with psycopg.connect(peers_database) as connection:
        expected = [
            connection.execute(VERDICT, [key, machine]).fetchone()[0] for key, machine in theirs["pairs"]
        ]
    found = [
        client.post("/api/v1/licenses/validate", json={"key": key, "fingerprint": machine}).json["data"][
            "code"
        ]
        for key, machine in material["pairs"]
    ]
    assert found == expected
    assert len(set(found)) > 1  # not only valid ones


def test_tokens_and_passwords_admit(client, material):
    assert len(material["tokens"]) == 3
    for number, token in enumerate(material["tokens"]):
        answer = client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.json["data"]["email"] == material["emails"][number]
    credentials = {"email": material["emails"][4], "password": PASSWORD}
    assert client.post("/api/v1/auth/login", json=credentials).status_code == 200
