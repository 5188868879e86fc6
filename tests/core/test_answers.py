"""Compression, entity tags, preconditions and trimming."""

import gzip

import pytest

from tests.factories import code_of

LONG = {"text": "a believable note about the customer, " * 60}


def product(api, admin, **values):
    body = {"name": "Forge", "code": "forge", "metadata": LONG, **values}
    return api.post("/products", body, by=admin).json["data"]


def test_long_answers_are_compressed_as_the_client_can_read(api):
    admin = api.admin()
    path = f"/products/{product(api, admin)['id']}"
    plain = api.get(path, by=admin)
    assert "Content-Encoding" not in plain.headers
    zipped = api.get(path, by=admin, headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "accept-encoding" in zipped.headers["Vary"].lower()
    assert gzip.decompress(zipped.data) == plain.data
    assert api.get(path, by=admin, headers={"Accept-Encoding": "br"}).headers["Content-Encoding"] == "br"


def test_short_answers_are_not_compressed(api):
    answer = api.get("/auth/me", by=api.person(), headers={"Accept-Encoding": "gzip"})
    assert len(answer.data) < 1024
    assert "Content-Encoding" not in answer.headers


def test_answers_with_secrets_are_neither_compressed_nor_kept(api):
    person, admin = api.person(), api.admin()
    license_ = api.license(owner=person, metadata=LONG)
    credentials = {"email": person.email, "password": "correct horse battery", "device_name": "d" * 100}
    packed = {"Accept-Encoding": "gzip, br"}
    body = {"policy_id": str(license_.policy_id), "metadata": LONG}
    answers = [
        api.post("/auth/login", credentials, headers=packed),
        api.get("/licenses", by=person, headers=packed),
        api.get(f"/licenses/{license_.id}", by=person, headers=packed),
        api.post("/licenses", body, by=admin, headers={**packed, "Idempotency-Key": "one"}),
        api.post("/licenses", body, by=admin, headers={**packed, "Idempotency-Key": "one"}),
        api.patch(f"/licenses/{license_.id}", {"metadata": LONG}, by=admin, headers=packed),
        api.post(f"/licenses/{license_.id}/suspend", by=admin, headers=packed),
    ]
    assert answers[4].headers["Idempotent-Replayed"] == "true"
    for answer in answers:
        assert answer.status_code in {200, 201}
        assert len(answer.data) > 1024
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br"])
def test_a_client_that_has_the_answer_is_not_sent_it_again(api, encoding):
    admin = api.admin()
    path = f"/products/{product(api, admin)['id']}"
    packed = {"Accept-Encoding": encoding}
    tag = api.get(path, by=admin, headers=packed).headers["ETag"]
    assert not tag.startswith("W/")
    for sent in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = api.get(path, by=admin, headers={**packed, "If-None-Match": sent})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"].strip('"').split(":")[0] == tag.strip('"').split(":")[0]
    changed = api.get(path, by=admin, headers={**packed, "If-None-Match": '"other"'})
    assert changed.status_code == 200


def test_the_tag_changes_with_the_resource(api):
    admin = api.admin()
    path = f"/products/{product(api, admin)['id']}"
    before = api.get(path, by=admin).headers["ETag"]
    assert api.get(path, by=admin).headers["ETag"] == before
    api.patch(path, {"name": "Anvil"}, by=admin)
    answer = api.get(path, by=admin, headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != before


def test_head_tells_what_get_would(api):
    admin = api.admin()
    path = f"/products/{product(api, admin)['id']}"
    got, head = api.get(path, by=admin), api.call("HEAD", path, by=admin)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == got.headers["ETag"]
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br"])
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_write_with_a_current_tag_is_done_and_with_a_stale_one_refused(api, method, encoding):
    admin = api.admin()
    path = f"/products/{product(api, admin)['id']}"
    packed = {"Accept-Encoding": encoding}

    def write(tag):
        body = None if method == "delete" else {"name": "Anvil", "code": "anvil"}
        return api.call(method.upper(), path, body, by=admin, headers={"If-Match": tag})

    stale = api.get(path, by=admin, headers=packed).headers["ETag"]
    api.patch(path, {"name": "Changed meanwhile"}, by=admin)
    refused = write(stale)
    assert (refused.status_code, code_of(refused)) == (412, "PRECONDITION_FAILED")
    assert api.get(path, by=admin).json["data"]["name"] == "Changed meanwhile"
    current = api.get(path, by=admin, headers=packed).headers["ETag"]
    assert write(f"W/{current}").status_code == 412  # RFC 9110 13.1.1: strong comparison
    assert write(f'"other", {current}').status_code in {200, 204}


@pytest.mark.parametrize("tag", ["*", None])
def test_a_write_is_done_without_a_tag_or_with_any(api, tag):
    admin = api.admin()
    path = f"/products/{product(api, admin)['id']}"
    headers = {"If-Match": tag} if tag else {}
    assert api.patch(path, {"name": "Anvil"}, by=admin, headers=headers).status_code == 200


def test_a_licence_and_a_user_can_be_edited_by_their_tags(api):
    admin, person = api.admin(), api.person()
    for path, body in (
        (f"/licenses/{api.license(owner=person).id}", {"metadata": {"a": 1}}),
        (f"/users/{person.id}", {"name": "Ada"}),
    ):
        tag = api.get(path, by=admin).headers["ETag"]
        assert api.patch(path, body, by=admin, headers={"If-Match": tag}).status_code == 200
        assert api.patch(path, body, by=admin, headers={"If-Match": tag}).status_code == 412


def test_a_reply_is_trimmed_to_the_wanted_fields(api):
    admin = api.admin()
    made = product(api, admin)
    one = api.get(f"/products/{made['id']}?fields=id,code", by=admin)
    assert one.json["data"] == {"id": made["id"], "code": "forge"}
    many = api.get("/products?fields=code", by=admin)
    assert many.json["data"] == [{"code": "forge"}]
    assert many.json["pagination"]["total"] == 1


@pytest.mark.parametrize("fields", ["", ",", "nothing", "id,nothing", "id;code", "id,%00"])
def test_an_unknown_field_is_refused(api, fields):
    admin = api.admin()
    for path in ("/products", f"/products/{product(api, admin)['id']}"):
        refused = api.get(f"{path}?fields={fields}", by=admin)
        assert refused.status_code in {400, 422}
        assert code_of(refused) in {"VALIDATION_ERROR", "MALFORMED_REQUEST"}
