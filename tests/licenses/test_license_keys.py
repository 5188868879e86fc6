"""The published keys of licensing, and what a rotation means for what was signed before."""

import base64

import pytest
from sqlalchemy import delete, insert, select, update

from devforge_api.core import keys
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.keys import SETTLING, KeyPurpose, SigningKey, ensure_signing_keys, rotate
from devforge_api.licenses.service.certificates import Kind, Untrusted, certify, read

TABLE = db.metadata.tables["signing_keys"]
PATH = "/.well-known/license-keys.json"


@pytest.fixture
def own_keys(make_api):
    """Licensing's keys of the test's own; afterwards as they were, for the other tests."""
    ours = TABLE.c.purpose == KeyPurpose.LICENSES
    maker = make_api()  # the shared application would remember what is removed in the end
    with maker.app.app_context():
        with db.engine.begin() as connection:
            kept = [dict(row._mapping) for row in connection.execute(select(*TABLE.columns).where(ours))]
            connection.execute(delete(TABLE).where(ours))
        ensure_signing_keys()
        yield
        with db.engine.begin() as connection:
            connection.execute(delete(TABLE).where(ours))
            connection.execute(insert(TABLE), kept)


def rotated_long_ago():
    """Rotate, as if every process had had the time to follow."""
    with unit_of_work():
        kid = rotate(KeyPurpose.LICENSES)
        older = {"created_at": utc_now() - 2 * SETTLING}
        newer = {"created_at": utc_now() - SETTLING}
        of_licenses = update(SigningKey).where(SigningKey.purpose == KeyPurpose.LICENSES)
        db.session.execute(of_licenses.values(older))
        db.session.execute(update(SigningKey).where(SigningKey.kid == kid).values(newer))
    return kid


def test_the_key_set_holds_public_halves_alone_and_no_key_of_another_purpose(app):
    answer = app.test_client().get(PATH)
    (key,) = answer.json["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("OKP", "Ed25519", "sig", "EdDSA")
    assert len(base64.urlsafe_b64decode(key["x"] + "=")) == 32
    tokens = app.test_client().get("/.well-known/jwks.json").json["keys"]
    assert key["kid"] not in {one["kid"] for one in tokens}


def test_the_key_set_can_be_cached_and_asked_for_by_its_tag(app):
    answer = app.test_client().get(PATH)
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    again = app.test_client().get(PATH, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.usefixtures("own_keys")
def test_after_a_rotation_old_files_verify_until_their_key_is_removed(make_api):
    old, api = make_api(), make_api()
    with old.app.app_context():
        before = certify(Kind.LICENSE, {"data": "before"})
        kid = rotated_long_ago()
    with api.app.app_context():
        after = certify(Kind.LICENSE, {"data": "after"})
        assert (before.kid != kid, after.kid == kid) == (True, True)
        assert read(before.text).document == {"data": "before"}
    listed = [key["kid"] for key in api.app.test_client().get(PATH).json["keys"]]
    assert listed == [before.kid, kid]
    with old.app.app_context(), unit_of_work():
        keys.remove(before.kid)
    fresh = make_api()
    with fresh.app.app_context():
        assert read(after.text).document == {"data": "after"}
        with pytest.raises(Untrusted, match="not known here, or was removed"):
            read(before.text)
    assert [key["kid"] for key in fresh.app.test_client().get(PATH).json["keys"]] == [kid]


@pytest.mark.usefixtures("own_keys")
def test_tokens_keys_sign_no_files_and_are_not_rotated_with_those_that_do(make_api):
    with make_api().app.app_context():
        tokens = [pair.kid for pair in keys.keyring(KeyPurpose.TOKENS).all()]
        assert certify(Kind.MACHINE, {"data": "x"}).kid not in tokens
        rotated_long_ago()
    with make_api().app.app_context():
        assert [pair.kid for pair in keys.keyring(KeyPurpose.TOKENS).all()] == tokens
        assert len(keys.keyring(KeyPurpose.LICENSES).all()) == 2
