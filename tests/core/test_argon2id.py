"""Hashes are the library's own, in whatever memory they are computed."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher, Type
from argon2.low_level import ffi

from devforge_api.core import argon2id

PASSWORD = "lantern orbit stäple"
library = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@pytest.fixture(params=["lent", "the library's"])
def memory(request, monkeypatch):
    """Some systems refuse callbacks, and the library gets its memory by itself."""
    if request.param == "lent":
        assert argon2id._CALLBACKS
    else:
        monkeypatch.setattr(argon2id, "_CALLBACKS", {})


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("password", [PASSWORD, "", "\0", "x" * 128])
def test_hashes_are_those_of_the_library(password):
    ours, theirs = argon2id.hash_password(password), library.hash(password)
    assert library.verify(ours, password)
    assert argon2id.verify(theirs, password)
    assert not argon2id.verify(theirs, password + "x")
    assert not argon2id.needs_rehash(ours)
    assert [len(part) for part in ours.split("$")] == [len(part) for part in theirs.split("$")]


@pytest.mark.parametrize(
    "other",
    [
        {"time_cost": 1},
        {"memory_cost": 8 * 1024},
        {"memory_cost": 32 * 1024},
        {"hash_len": 16},
        {"type": Type.I},
    ],
    ids=str,
)
def test_hashes_of_other_parameters_are_verified_and_known_as_such(other):
    theirs = PasswordHasher(**{"time_cost": 2, "memory_cost": 19 * 1024, "parallelism": 1, **other}).hash(
        PASSWORD
    )
    assert argon2id.verify(theirs, PASSWORD)
    assert not argon2id.verify(theirs, "another one")
    assert argon2id.needs_rehash(theirs)


@pytest.mark.parametrize("tail", ["", "$", "a$b", "c2FsdHNhbHQ$*", "YQ$YQ", "c2FsdHNhbHQ$YWFhYWFhYWE$more"])
def test_what_is_no_hash_is_nobodys_password(tail):
    assert not argon2id.verify(argon2id._PREFIX + tail, PASSWORD)
    assert not argon2id.verify(tail, PASSWORD)


def test_threads_do_not_share_their_memory():
    passwords = [secrets.token_urlsafe() for _ in range(6)]
    hashes = [library.hash(password) for password in passwords]
    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(argon2id.verify, hashes * 5, passwords * 5))
        assert not any(pool.map(argon2id.verify, hashes * 5, (passwords[1:] + passwords[:1]) * 5))


def test_nothing_of_a_password_stays_in_the_memory_which_can_be_given_back():
    argon2id.verify(library.hash(PASSWORD), PASSWORD)
    assert not any(bytes(ffi.buffer(argon2id._kept.block)))
    argon2id.give_memory_back()
    assert argon2id._kept.block is None
    assert argon2id.verify(library.hash(PASSWORD), PASSWORD)
