import pytest

from tests.core.hot.ways import ID, V, used

JSON = {"content_type": "application/json"}


@pytest.mark.parametrize(
    ("name", "scope", "code"),
    [
        ("good", {}, "VALID"),
        ("good", {"fingerprint": "m1"}, "VALID"),
        ("good", {"fingerprint": "m2"}, "FINGERPRINT_SCOPE_MISMATCH"),
        ("good", {"fingerprints": ["m2", "m1"], "nonce": "n-1"}, "VALID"),
        ("good", {"fingerprints": []}, "FINGERPRINT_SCOPE_EMPTY"),
        ("good", {"product": "another"}, "PRODUCT_SCOPE_MISMATCH"),
        ("good", {"user_id": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}, "USER_SCOPE_MISMATCH"),
        ("good", {"entitlements": ["cloud-sync"]}, "ENTITLEMENTS_MISSING"),
        ("owned", {}, "VALID"),
        ("strict", {}, "NO_MACHINES"),
        ("expired", {}, "EXPIRED"),
        ("suspended", {}, "SUSPENDED"),
        ("banned", {}, "BANNED"),
        (None, {"nonce": "ключ"}, "NOT_FOUND"),
    ],
)
def test_every_ordinary_verdict_is_given_in_front_of_flask(both_ways, licenses, name, scope, code):
    key = licenses[name].key if name else "DF-00000-00000-00000-00000-000000"
    answer, seen = both_ways(V, method="POST", json={"key": key, **scope})
    assert (answer.status_code, answer.json["data"]["code"]) == (200, code)
    assert seen.in_front
    assert seen.metrics == [("POST", V, 200)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 422),
        (b"[]", 422),
        (b"{", 400),
        (b'{"key":"a","key":"b"}', 400),
        (b'{"key":"a\\u0000"}', 400),
        (b'{"key":"\xff"}', 400),
        (b'{"key":"a","nonce":NaN}', 400),
        (b'{"key":"a","unknown":1}', 422),
        (b'{"key":5}', 422),
        (b'{"key":"a","fingerprint":"m","fingerprints":["m"]}', 422),
        (b"[" * 100_000, 400),
    ],
)
def test_a_refused_body_is_answered_by_flask_and_counted_once(both_ways, body, status):
    answer, seen = both_ways(V, method="POST", data=body, **JSON)
    assert answer.status_code == status
    assert used(answer) == 1
    assert not seen.in_front


@pytest.mark.parametrize(
    "request_",
    [
        {"query_string": "explain=true"},
        {"query_string": "a=%00"},
        {"content_type": None},
        {"content_type": "text/plain"},
        {"content_type": "application/json; charset=utf-8"},
        {"headers": {"Content-Encoding": "gzip"}},
        {"headers": {"If-None-Match": "*"}},
        {"headers": {"Host": "bad host"}},
        {"headers": {"Host": ""}},
        {"environ_overrides": {"CONTENT_LENGTH": "1000"}},
        {"environ_overrides": {"CONTENT_LENGTH": "-1"}},
        {"environ_overrides": {"CONTENT_LENGTH": "٣"}},
        {"environ_overrides": {"CONTENT_LENGTH": "99999999"}},
        {"environ_overrides": {"HTTP_TRANSFER_ENCODING": "chunked"}},
        {"method": "GET"},
        {"method": "HEAD"},
        {"method": "OPTIONS"},
        {"method": "PUT"},
        {"path": V + "/"},
        {"path": "/" + V},
    ],
    ids=str,
)
def test_what_is_not_plain_is_flasks_from_the_beginning(both_ways, licenses, request_):
    body = b'{"key":"%s"}' % licenses["good"].key.encode()
    given = {"path": V, "method": "POST", "data": body, **JSON, **request_}
    _, seen = both_ways(given.pop("path"), **given)
    assert not seen.in_front


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept-Encoding": "gzip, br"},
        {"Origin": "https://anybody.example.com"},
        {"Idempotency-Key": "one-two-three"},
        {"Authorization": "Bearer nobody-asks-for-it"},
        {"User-Agent": "x" * 1000},
        {"Host": "api.example.com:8000"},
    ],
    ids=str,
)
def test_what_does_not_matter_here_stays_in_front(both_ways, licenses, headers):
    answer, seen = both_ways(V, method="POST", json={"key": licenses["good"].key}, headers=headers)
    assert (answer.status_code, seen.in_front) == (200, True)


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_an_answer_to_compress_is_carried_over_and_neither_counted_nor_asked_again(
    both_ways, count_queries, licenses, encoding
):
    with count_queries() as statements:
        answer, seen = both_ways(
            V, method="POST", json={"key": licenses["big"].key}, headers={"Accept-Encoding": encoding}
        )
    assert (answer.status_code, answer.headers.get("Content-Encoding", "")) == (200, encoding)
    assert used(answer) == 1
    assert not seen.in_front
    assert len([one for one in statements if "FROM licenses" in one]) == 2  # one each way


@pytest.mark.parametrize("given", [ID, "too short", "not*clean*at*all", "x" * 65, ""])
def test_a_request_id_is_taken_or_made_alike(api, given):
    answer = api.post("/licenses/validate", {"key": "any"}, headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is (given == ID)


def test_a_suspension_acts_on_the_next_request(api, both_ways, licenses):
    def code():
        answer, seen = both_ways(V, method="POST", json={"key": licenses["good"].key})
        assert seen.in_front
        return answer.json["data"]["code"]

    admin = api.admin()
    assert code() == "VALID"
    assert api.post(f"/licenses/{licenses['good'].id}/suspend", by=admin).status_code == 200
    assert code() == "SUSPENDED"
    assert api.post(f"/licenses/{licenses['good'].id}/reinstate", by=admin).status_code == 200
    assert code() == "VALID"
