import pytest

from tests.factories import PASSWORD

ROUTES = {
    "register": ("POST", "/auth/register", "email"),
    "login": ("POST", "/auth/login", "password"),
    "refresh": ("POST", "/auth/refresh", "refresh_token"),
    "logout": ("POST", "/auth/logout", "refresh_token"),
    "password change": ("POST", "/auth/password/change", "new_password"),
    "profile": ("PATCH", "/users/me", "name"),
    "make a user": ("POST", "/users", "email"),
    "change a user": ("PATCH", "/users/{id}", "name"),
}
BODIES = {
    "NUL": (rb'{"%s": "a\u0000b"}', 400),
    "half a surrogate pair": (rb'{"%s": "a\ud800b"}', 400),
    "no UTF-8": (b'{"%s": "\xff"}', 400),
    "no JSON": (b'{"%s": ', 400),
    "the same name twice": (b'{"%s": "a", "%s": "b"}', 400),
    "a number of 5,000 digits": (b'{"%s": ' + b"9" * 5000 + b"}", 400),
    "20,000 deep": (b'{"%s": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", 400),
    "two megabytes": (b'{"%s": "' + b"x" * (2 << 20) + b'"}', 413),
    "a list": (b'["%s"]', 422),
    "a number for a text": (b'{"%s": 5}', 422),
    "an object for a text": (b'{"%s": {"$ne": null}}', 422),
    "an unknown field": (b'{"%s_": "a"}', 422),
}


@pytest.mark.parametrize(("method", "path", "field"), ROUTES.values(), ids=list(ROUTES))
@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=list(BODIES))
def test_a_bad_body_is_refused_in_the_envelope(api, hash_calls, method, path, field, body, status):
    admin = api.admin()
    hash_calls.clear()
    answer = api.call(
        method, path.format(id=admin.id), by=admin,
        data=body.replace(b"%s", field.encode()), content_type="application/json",
    )  # fmt: skip
    assert (answer.status_code, answer.json["success"]) == (status, False)
    assert hash_calls == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"]
)
def test_credentials_come_as_json_or_not_at_all(api, content_type):
    ada = api.person()
    body = f'{{"email": "{ada.email}", "password": "{PASSWORD}"}}'
    answer = api.call("POST", "/auth/login", data=body, content_type=content_type)
    assert (answer.status_code, answer.json["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
