"""Keys: shown to those whom they concern, found by hash, never stored readable."""

import re
from uuid import uuid4

from sqlalchemy import text

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.licenses.models import KeyScheme, Policy
from devforge_api.licenses.service.keys import make_key
from tests.factories import code_of


def test_keys_look_alike_and_are_all_different():
    policy = Policy(key_scheme=KeyScheme.RANDOM)
    keys = {make_key(policy, uuid4(), now=utc_now()) for _ in range(500)}
    assert len(keys) == 500
    pattern = r"DF(-[0-9A-HJKMNP-TV-Z]{5}){4}-[0-9A-HJKMNP-TV-Z]{6}"
    assert all(re.fullmatch(pattern, key) for key in keys)


def test_the_key_is_nowhere_in_the_database(app, api, activate):
    owner, admin = api.person(), api.admin()
    body = {"policy_id": str(api.policy()), "user_id": str(owner.id)}
    headers = {"Idempotency-Key": "order-1"}
    key = api.post("/licenses", body, by=admin, headers=headers).json["data"]["key"]
    activate(key, "m1")
    api.get("/licenses", by=owner)
    api.deliver()
    with app.app_context(), db.engine.connect() as connection:
        dump = "\n".join(
            str(tuple(row))
            for table in db.metadata.sorted_tables
            for row in connection.execute(text(f'SELECT * FROM "{table.name}"'))  # noqa: S608 - our names
        )
    assert str(owner.id) in dump or owner.id.hex in dump
    assert key not in dump
    assert key.replace("-", "") not in dump


def test_owner_and_admin_see_the_key_and_support_sees_its_end(api):
    owner = api.person()
    license_ = api.license(owner=owner)
    masked = f"DF-…-{license_.key[-6:]}"
    for caller, shown in [
        (owner, license_.key),
        (api.admin(), license_.key),
        (api.person(role="support"), masked),
    ]:
        one = api.get(f"/licenses/{license_.id}", by=caller)
        many = api.get("/licenses", by=caller)
        assert one.json["data"]["key"] == many.json["data"][0]["key"] == shown
        for answer in (one, many):
            assert answer.headers["Cache-Control"] == "no-store"


def test_support_sees_its_own_keys_in_full(api):
    support = api.person(role="support")
    license_ = api.license(owner=support)
    assert api.get(f"/licenses/{license_.id}", by=support).json["data"]["key"] == license_.key


def test_answers_with_keys_are_never_compressed(api):
    owner, policy_id = api.person(), api.policy()
    for _ in range(10):
        api.license(policy_id, owner=owner)
    answer = api.get("/licenses", by=owner, headers={"Accept-Encoding": "gzip, br"})
    assert len(answer.data) > 1024
    assert "Content-Encoding" not in answer.headers


def test_what_is_anothers_is_not_found(api):
    license_ = api.license(owner=api.person())
    for stranger in (api.person(), api.person(role="developer")):
        for path in (f"/licenses/{license_.id}", f"/licenses/{license_.id}/machines"):
            answer = api.get(path, by=stranger)
            assert (answer.status_code, code_of(answer)) == (404, "LICENSE_NOT_FOUND")
        assert api.get("/licenses", by=stranger).json["data"] == []
        filtered = api.get(f"/licenses?user_id={license_.id}", by=stranger)
        assert filtered.json["data"] == []


def test_a_key_is_not_guessed_from_its_case_or_its_parts(api, verdict):
    license_ = api.license()
    for guess in (license_.key[:-1], license_.key + "0", license_.key[3:]):
        assert verdict(guess)["code"] == "NOT_FOUND"
