"""What must hold when two things happen to one account at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.factories import PASSWORD

ROUNDS = 12


@pytest.fixture
def together(app):
    """Run some calls at the same time; gives their answers in order."""
    with ThreadPoolExecutor(4) as pool:

        def run(*calls):
            return [future.result() for future in [pool.submit(call) for call in calls]]

        yield run


def usable(calls, tokens) -> bool:
    return 200 in (
        calls.me(tokens["access_token"]).status_code,
        calls.refresh(tokens["refresh_token"]).status_code,
    )


def test_a_refresh_that_races_logout_leaves_no_usable_token(api, calls, together):
    email = api.person().email
    for number in range(ROUNDS):
        tokens = calls.login(email).json["data"]
        calls.me(tokens["access_token"])
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        refresh = partial(calls.refresh, tokens["refresh_token"])
        order = [refresh, partial(api.post, "/auth/logout", headers=bearer), refresh]
        answers = together(*(order if number % 2 else reversed(order)))
        assert {answer.status_code for answer in answers} <= {200, 204, 401}
        given = [tokens, *(answer.json["data"] for answer in answers if answer.status_code == 200)]
        assert not any(usable(calls, each) for each in given)


@pytest.mark.parametrize("deed", ["logout-all", "ban", "deletion"])
def test_a_refresh_that_races_the_end_of_everything_leaves_no_usable_token(api, calls, together, deed):
    admin = api.admin()
    for _ in range(ROUNDS // 2):
        who = api.person()
        end = {
            "logout-all": partial(api.post, "/auth/logout-all", by=who),
            "ban": partial(api.patch, f"/users/{who.id}", {"status": "disabled"}, by=admin),
            "deletion": partial(api.delete, f"/users/{who.id}", by=admin),
        }[deed]
        calls.me(who.access_token)
        refreshed, ended = together(partial(calls.refresh, who.refresh_token), end)
        assert ended.status_code in {200, 204}
        assert refreshed.status_code in {200, 401}
        if refreshed.status_code == 200:
            assert not usable(calls, refreshed.json["data"])
        assert calls.me(who.access_token).status_code == 401


def test_signing_in_with_a_password_that_is_being_changed_leaves_no_usable_token(api, calls, together):
    for _ in range(ROUNDS // 2):
        who = api.person()
        signed_in, changed = together(
            partial(calls.login, who.email, PASSWORD),
            partial(calls.change_password, who, "staple orbit lantern"),
        )
        assert changed.status_code == 204
        assert signed_in.status_code in {200, 401}
        if signed_in.status_code == 200:
            assert not usable(calls, signed_in.json["data"])
        assert calls.me(who.access_token).status_code == 200


def test_of_two_password_changes_at_once_one_counts(api, calls, together):
    for _ in range(ROUNDS // 2):
        who = api.person()
        changes = ["staple orbit lantern", "granite velvet comet"]
        answers = together(*(partial(calls.change_password, who, new) for new in changes))
        assert sorted(answer.status_code for answer in answers) == [204, 401]
        counts = changes[[answer.status_code for answer in answers].index(204)]
        assert calls.login(who.email, counts).status_code == 200


def test_signing_in_while_being_banned_leaves_no_usable_token(api, calls, together):
    admin = api.admin()
    for _ in range(ROUNDS // 2):
        who = api.person()
        signed_in, _banned = together(
            partial(calls.login, who.email),
            partial(api.patch, f"/users/{who.id}", {"status": "disabled"}, by=admin),
        )
        assert signed_in.status_code in {200, 403}
        if signed_in.status_code == 200:
            assert not usable(calls, signed_in.json["data"])
