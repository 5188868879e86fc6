"""Sign-ins under load: how near they come to bare argon2, and what they do to other requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from argon2 import PasswordHasher

from benchmarks.load import loading, outcome
from benchmarks.measure import Bench, Row, measure, settle
from benchmarks.parts import say
from benchmarks.population import PASSWORD
from benchmarks.scenarios import ARGON2, LOGIN, LOGIN_CONNECTIONS, V_ALONE, V_BESIDE_LOGIN
from benchmarks.systems import WORKERS

SETTLING_SECONDS = 1  # until the hashers' queue is full


def rounds(bench: Bench, *, count: int, seconds: int) -> list[Row]:
    """Measure each of the four in turn, a number of times; the order is reversed in between."""
    steps: list[Callable[[int], Row]] = [
        lambda round_: _argon2(bench.parts.password_hash, seconds, round_),
        lambda round_: measure(bench, bench.ours, LOGIN, seconds=seconds, round_=round_),
        lambda round_: measure(bench, bench.ours, V_ALONE, seconds=seconds, round_=round_),
        lambda round_: _beside_login(bench, seconds, round_),
    ]
    rows: list[Row] = []
    for round_ in range(count):
        say(f"Sign-ins, round {round_ + 1} of {count} …")
        for step in steps if round_ % 2 == 0 else steps[::-1]:
            settle(bench)
            rows.append(step(round_))
    return rows


def verifications(password_hash: str, seconds: float) -> float:
    """How often a second this process verifies the right password; the hash names the parameters."""
    hasher, count = PasswordHasher(), 0
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        hasher.verify(password_hash, PASSWORD)
        count += 1
    return count / elapsed


def _argon2(password_hash: str, seconds: int, round_: int) -> Row:
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        list(pool.map(verifications, [password_hash] * WORKERS, [0.2] * WORKERS))  # all have started
        rate = sum(pool.map(verifications, [password_hash] * WORKERS, [seconds] * WORKERS))
    return {"scenario": ARGON2.name, "system": ARGON2.name, "round": round_, "rate": rate}


def _beside_login(bench: Bench, seconds: int, round_: int) -> Row:
    server = bench.ours
    with loading(
        server.port, server.files["login"], connections=LOGIN_CONNECTIONS, seconds=seconds + 60
    ) as sign_ins:
        time.sleep(SETTLING_SECONDS)
        row = measure(bench, server, V_BESIDE_LOGIN, seconds=seconds, round_=round_)
        outcome(sign_ins, early=True)  # raises if they were not there
    return row
