import io
import re
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
import segno
from sqlalchemy import select

from devforge_api.auth.models import RecoveryCode, TotpFactor
from devforge_api.core.db import db
from devforge_api.core.encryption import decrypt, fingerprint
from tests.factories import PASSWORD, code_of

NEW_PASSWORD = "staple orbit lantern"


def state(api, who):
    return api.get("/auth/mfa", by=who).json["data"]


# --- setting up ---------------------------------------------------------------------------------


def test_nothing_is_asked_for_before_the_app_is_confirmed(api, calls, ada):
    off = {"totp_enabled": False, "confirmed_at": None, "recovery_codes_left": 0}
    assert state(api, ada) == off
    assert api.post("/auth/mfa/totp", by=api.reauthenticated(ada)).status_code == 201
    assert state(api, ada) == off
    assert "access_token" in calls.login(ada.email).json["data"]


def test_enrolment_gives_the_secret_as_text_link_and_picture(api, ada):
    answer = api.post("/auth/mfa/totp", by=api.reauthenticated(ada))
    data = answer.json["data"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch("[A-Z2-7]{32}", data["secret"])
    link = urlsplit(data["otpauth_uri"])
    assert (link.scheme, link.netloc, unquote(link.path)) == ("otpauth", "totp", f"/Dev Forge:{ada.email}")
    assert parse_qs(link.query) == {"secret": [data["secret"]], "issuer": ["Dev Forge"]}
    picture = io.BytesIO()
    segno.make(data["otpauth_uri"], micro=False).save(
        picture, kind="svg", xmldecl=False, scale=4, light="#fff"
    )
    assert data["qr_svg"] == picture.getvalue().decode().strip()
    assert data["qr_svg"].startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert data["secret"] not in data["qr_svg"]


def test_enrolling_again_replaces_what_was_not_confirmed(api, ada):
    api.reauthenticated(ada)
    first, second = (api.post("/auth/mfa/totp", by=ada).json["data"]["secret"] for _ in range(2))
    assert first != second
    refused = api.post("/auth/mfa/totp/confirm", {"code": pyotp.TOTP(first).now()}, by=ada)
    assert (refused.status_code, code_of(refused)) == (401, "MFA_CODE_INVALID")
    assert api.post("/auth/mfa/totp/confirm", {"code": pyotp.TOTP(second).now()}, by=ada).status_code == 200


def test_a_confirmed_app_is_not_replaced_by_enrolling_or_confirming_again(api, ada, app_of_ada):
    api.reauthenticated(ada)
    for path, body in (("/auth/mfa/totp", None), ("/auth/mfa/totp/confirm", {"code": app_of_ada.code()})):
        refused = api.post(path, body, by=ada)
        assert (refused.status_code, code_of(refused)) == (409, "MFA_ALREADY_ENABLED")


def test_what_was_never_enrolled_is_neither_confirmed_nor_removed(api, ada):
    api.reauthenticated(ada)
    for answer in (
        api.post("/auth/mfa/totp/confirm", {"code": "123456"}, by=ada),
        api.post("/auth/mfa/recovery-codes", by=ada),
        api.delete("/auth/mfa/totp", by=ada),
    ):
        assert (answer.status_code, code_of(answer)) == (409, "MFA_NOT_ENABLED")


def test_confirming_gives_ten_recovery_codes_of_at_least_128_bits(api, ada, app_of_ada):
    codes = app_of_ada.recovery_codes
    assert len(set(codes)) == 10
    for code in codes:
        assert re.fullmatch("[a-z2-7]{4}(-[a-z2-7]{4}){6}", code)
        assert len(code.replace("-", "")) * 5 >= 128
    assert state(api, ada)["totp_enabled"] is True
    assert state(api, ada)["recovery_codes_left"] == 10


def test_secret_and_recovery_codes_are_not_stored_as_they_are(app, app_of_ada):
    with app.app_context():
        factor = db.session.scalars(select(TotpFactor)).one()
        hashes = set(db.session.scalars(select(RecoveryCode.code_hash)))
        assert app_of_ada.secret not in factor.secret
        assert decrypt(factor.secret) == app_of_ada.secret
    assert hashes == {fingerprint(code.replace("-", "")) for code in app_of_ada.recovery_codes}


# --- signing in ---------------------------------------------------------------------------------


def test_signing_in_answers_a_challenge_that_is_no_token(api, calls, ada, app_of_ada):
    answer = calls.login(ada.email)
    data = answer.json["data"]
    assert answer.status_code == 200
    assert set(data) == {"mfa_required", "challenge_token", "expires_in"}
    assert (data["mfa_required"], data["expires_in"]) == (True, 600)
    assert answer.headers["Cache-Control"] == "no-store"
    assert code_of(calls.me(data["challenge_token"])) == "TOKEN_INVALID"
    assert code_of(calls.refresh(data["challenge_token"])) == "TOKEN_INVALID"
    assert calls.login(ada.email, "not the password").status_code == 401


def test_the_code_opens_the_session_that_the_password_asked_for(api, calls, ada, app_of_ada):
    challenge = calls.login(ada.email, device_name="Laptop").json["data"]["challenge_token"]
    answer = app_of_ada.verify(challenge, app_of_ada.code())
    data = answer.json["data"]
    assert answer.status_code == 200
    assert set(data) == {
        "access_token", "refresh_token", "token_type", "expires_in", "user", "device_token",
    }  # fmt: skip
    assert answer.headers["Cache-Control"] == "no-store"
    assert calls.me(data["access_token"]).json["data"] == data["user"]
    bearer = {"Authorization": f"Bearer {data['access_token']}"}
    names = {one["device_name"] for one in api.get("/auth/sessions", headers=bearer).json["data"]}
    assert names == {"Laptop", "Test device"}


def test_the_device_can_be_named_with_the_code(api, ada, app_of_ada):
    assert (
        app_of_ada.verify(app_of_ada.challenge(), app_of_ada.code(), device_name="Phone").status_code == 200
    )
    assert "Phone" in {one["device_name"] for one in api.get("/auth/sessions", by=ada).json["data"]}


def test_a_clock_may_be_off_by_one_step_and_no_more(app_of_ada):
    for steps_ago, status in ((-1, 200), (0, 200), (1, 200), (-3, 401), (3, 401)):
        challenge, code = app_of_ada.challenge(), app_of_ada.code(steps_ago=steps_ago)
        assert app_of_ada.verify(challenge, code).status_code == status, steps_ago


def test_a_code_works_once_also_for_another_challenge(app_of_ada):
    code = app_of_ada.code()
    assert app_of_ada.verify(app_of_ada.challenge(), code).status_code == 200
    replayed = app_of_ada.verify(app_of_ada.challenge(), code)
    assert (replayed.status_code, code_of(replayed)) == (401, "MFA_CODE_INVALID")
    assert replayed.headers["WWW-Authenticate"].startswith("Bearer")


def test_after_a_code_no_older_one_works(app_of_ada):
    older, newer = app_of_ada.code(steps_ago=1), app_of_ada.code()
    assert app_of_ada.verify(app_of_ada.challenge(), newer).status_code == 200
    assert code_of(app_of_ada.verify(app_of_ada.challenge(), older)) == "MFA_CODE_INVALID"


def test_the_code_that_confirmed_the_app_does_not_sign_in(api, ada, authenticator):
    secret = api.post("/auth/mfa/totp", by=api.reauthenticated(ada)).json["data"]["secret"]
    code = pyotp.TOTP(secret).now()
    assert api.post("/auth/mfa/totp/confirm", {"code": code}, by=ada).status_code == 200
    challenge = api.post("/auth/login", {"email": ada.email, "password": PASSWORD}).json["data"]
    body = {"challenge_token": challenge["challenge_token"], "code": code}
    assert code_of(api.post("/auth/mfa/verify", body)) == "MFA_CODE_INVALID"


def test_spaces_hyphens_and_case_of_a_code_do_not_matter(app_of_ada):
    code = app_of_ada.code()
    assert app_of_ada.verify(app_of_ada.challenge(), f" {code[:3]} {code[3:]} ").status_code == 200
    first, second, third = app_of_ada.recovery_codes[:3]
    for written in (first.upper(), second.replace("-", ""), third.replace("-", " ")):
        assert app_of_ada.verify(app_of_ada.challenge(), written).status_code == 200


def test_a_recovery_code_works_once(api, ada, app_of_ada, trail):
    code = app_of_ada.recovery_codes[0]
    assert app_of_ada.verify(app_of_ada.challenge(), code).status_code == 200
    again = app_of_ada.verify(app_of_ada.challenge(), code)
    assert (again.status_code, code_of(again)) == (401, "MFA_CODE_INVALID")
    assert state(api, ada)["recovery_codes_left"] == 9
    assert trail("auth.recovery%") == ["auth.recovery_code_used"]


def test_another_persons_codes_are_wrong(api, app_of_ada, authenticator):
    other = authenticator(api.person())
    for code in (other.code(), other.recovery_codes[0]):
        assert code_of(app_of_ada.verify(app_of_ada.challenge(), code)) == "MFA_CODE_INVALID"
    assert state(api, other.person)["recovery_codes_left"] == 10


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "²²²²²²", "x" * 64])  # noqa: RUF001
def test_a_strange_code_is_refused_and_not_an_error(app_of_ada, code):
    refused = app_of_ada.verify(app_of_ada.challenge(), code)
    assert refused.status_code == (401 if code else 422)


def test_new_recovery_codes_replace_the_old_ones(api, ada, app_of_ada, trail):
    api.reauthenticated(ada)
    answer = api.post("/auth/mfa/recovery-codes", by=ada)
    assert answer.headers["Cache-Control"] == "no-store"
    renewed = answer.json["data"]["recovery_codes"]
    assert len(set(renewed) | set(app_of_ada.recovery_codes)) == 20
    assert app_of_ada.verify(app_of_ada.challenge(), app_of_ada.recovery_codes[0]).status_code == 401
    assert app_of_ada.verify(app_of_ada.challenge(), renewed[0]).status_code == 200
    assert trail("auth.recovery_codes%") == ["auth.recovery_codes_renewed"]


def test_removing_the_factor_takes_codes_and_open_challenges_along(app, api, calls, ada, app_of_ada, trail):
    challenge = app_of_ada.challenge()
    api.reauthenticated(ada)
    assert api.delete("/auth/mfa/totp", by=ada).status_code == 204
    for code in (app_of_ada.code(), app_of_ada.recovery_codes[0]):
        assert code_of(app_of_ada.verify(challenge, code)) == "MFA_CHALLENGE_INVALID"
    assert "access_token" in calls.login(ada.email).json["data"]
    assert state(api, ada) == {"totp_enabled": False, "confirmed_at": None, "recovery_codes_left": 0}
    assert trail("auth.mfa%") == ["auth.mfa_enabled", "auth.mfa_disabled"]


def test_an_enrolment_that_was_never_confirmed_is_removed_silently(api, ada, trail):
    api.post("/auth/mfa/totp", by=api.reauthenticated(ada))
    api.reauthenticated(ada)
    assert api.delete("/auth/mfa/totp", by=ada).status_code == 204
    assert trail("auth.mfa%") == []
