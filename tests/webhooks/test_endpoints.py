"""Endpoints as their owners make and keep them."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from devforge_api.core import outbound
from devforge_api.core.db import db
from devforge_api.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.factories import code_of
from tests.webhooks.world import endpoint_row, make_endpoint, tell

URL = "https://hooks.example/dev-forge"


@pytest.fixture(autouse=True)
def _names(monkeypatch):
    """Names of the tests' own lead to the internet; nothing is sent there."""
    genuine = outbound.resolve

    def resolve(host, port):
        return ["93.184.215.14"] if host.endswith(".example") else genuine(host, port)

    monkeypatch.setattr(outbound, "resolve", resolve)


def test_an_endpoint_is_made_read_changed_and_deleted(local):
    ada = local.person()
    made = make_endpoint(local, ada, URL, description="Chat", events=["order.paid", "license.*"])
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    path = f"/webhooks/{made['id']}"
    shown = local.get(path, by=ada)
    assert shown.json["data"] == made
    assert (made["events"], made["audience"], made["status"]) == (
        ["license.*", "order.paid"],
        "own",
        "enabled",
    )
    assert secret not in shown.text
    changed = local.patch(path, {"events": ["license.revoked", "order.paid"]}, by=ada).json["data"]
    assert changed["events"] == ["license.revoked", "order.paid"]
    assert changed["description"] == "Chat"
    assert changed["updated_at"] > made["updated_at"]
    stale = local.patch(path, {"description": "x"}, by=ada, headers={"If-Match": shown.headers["ETag"]})
    assert (stale.status_code, code_of(stale)) == (412, "PRECONDITION_FAILED")
    replaced = local.put(path, {"url": URL + "/2"}, by=ada).json["data"]
    assert (replaced["events"], replaced["description"]) == ([], None)
    assert local.delete(path, by=ada).status_code == 204
    assert code_of(local.get(path, by=ada)) == "WEBHOOK_ENDPOINT_NOT_FOUND"


def test_the_secret_is_shown_once_stored_encrypted_and_its_answer_is_not_kept_by_caches(local):
    ada = local.person()
    made = local.post("/webhooks", {"url": URL}, by=ada)
    secret = made.json["data"]["secret"]
    assert made.headers["Cache-Control"] == "no-store"
    assert made.headers["Location"] == f"/api/v1/webhooks/{made.json['data']['id']}"
    row = endpoint_row(local, made.json["data"]["id"])
    assert secret not in row.secret
    rotated = local.post(f"/webhooks/{row.id}/rotate-secret", by=ada)
    assert rotated.headers["Cache-Control"] == "no-store"
    for answer in (local.get("/webhooks", by=ada), local.get(f"/webhooks/{row.id}", by=ada)):
        assert "whsec_" not in answer.text


def test_a_repeated_creation_makes_one_endpoint_and_repeats_the_secret(local):
    ada = local.person()
    headers = {"Idempotency-Key": "once"}
    answers = [local.post("/webhooks", {"url": URL}, by=ada, headers=headers) for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert local.get("/webhooks", by=ada).json["pagination"]["total"] == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/", "https://[::ffff:127.0.0.1]/", "https://localhost/", "https://127.0.0.1/",
        "https://2130706433/", "https://0177.0.0.1/", "https://0x7f.1/", "https://0/", "https://[::]/",
        "https://169.254.169.254/latest/meta-data/", "https://user:password@hooks.example/",
        "https://hooks.example:25/", "ftp://hooks.example/", "https://no-such-name.invalid/", "", "hooks",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(api, url):
    ada = api.person()
    refused = api.post("/webhooks", {"url": url}, by=ada)
    assert refused.status_code == 422
    assert refused.json["error"]["field"] == "url"
    made = api.post("/webhooks", {"url": URL}, by=ada).json["data"]
    for change in (api.patch, api.put):
        assert change(f"/webhooks/{made['id']}", {"url": url}, by=ada).status_code == 422
    assert api.get(f"/webhooks/{made['id']}", by=ada).json["data"]["url"] == URL


def test_an_inner_name_and_one_that_is_not_there_get_the_same_answer(api, monkeypatch):
    ada = api.person()
    answers = []
    for found in (["10.0.0.1"], []):
        monkeypatch.setattr(outbound, "resolve", lambda *_, found=found: found)
        refused = api.post("/webhooks", {"url": "https://vault.internal/"}, by=ada).json["error"]
        answers.append({key: value for key, value in refused.items() if key != "request_id"})
    assert answers[0] == answers[1]
    assert answers[0]["details"][0]["code"] == "DESTINATION_REFUSED"


def test_an_endpoint_whose_name_is_gone_can_still_be_disabled(api, monkeypatch):
    ada = api.person()
    made = api.post("/webhooks", {"url": URL}, by=ada).json["data"]
    monkeypatch.setattr(outbound, "resolve", lambda *_: [])
    put = api.put(f"/webhooks/{made['id']}", {"url": URL, "status": "disabled"}, by=ada)
    assert (put.status_code, put.json["data"]["disabled_reason"]) == (200, "owner")


def test_events_that_there_are_not_are_refused_with_those_that_there_are(local):
    refused = local.post(
        "/webhooks", {"url": URL, "events": ["license.renewed", "license.eaten", "*"]}, by=local.person()
    )
    assert refused.status_code == 422
    assert [one["field"] for one in refused.json["error"]["details"]] == ["events.1", "events.2"]
    assert "license.revoked" in refused.json["error"]["message"]
    assert "license.*" in refused.json["error"]["message"]


def test_lists_show_ones_own_alone_by_few_queries(local, count_queries):
    ada, bob = local.person(), local.person()
    for number in range(3):
        make_endpoint(local, ada, f"{URL}/{number}", events=["license.*"])
    make_endpoint(local, bob, URL)
    with count_queries() as few:
        listed = local.get("/webhooks?sort=created_at", by=ada)
    assert [one["url"] for one in listed.json["data"]] == [f"{URL}/{number}" for number in range(3)]
    for number in range(3, 9):
        make_endpoint(local, ada, f"{URL}/{number}", events=["license.*"])
    with count_queries() as many:
        local.get("/webhooks", by=ada)
    assert len(many) == len(few) <= 4
    local.patch(f"/webhooks/{listed.json['data'][0]['id']}", {"status": "disabled"}, by=ada)
    assert local.get("/webhooks?status=disabled", by=ada).json["pagination"]["total"] == 1


def test_another_users_endpoint_is_not_there(local):
    ada, eve = local.person(), local.admin()
    made = make_endpoint(local, ada, URL)
    local.post(f"/webhooks/{made['id']}/test", by=ada)
    delivery = local.get(f"/webhooks/{made['id']}/deliveries", by=ada).json["data"][0]["id"]
    path = f"/webhooks/{made['id']}"
    since = {"since": "2026-01-15T09:30:00Z"}
    other = make_endpoint(local, eve, URL)
    answers = [
        local.get(path, by=eve),
        local.put(path, {"url": URL}, by=eve),
        local.patch(path, {"status": "disabled"}, by=eve),
        local.delete(path, by=eve),
        local.post(f"{path}/rotate-secret", by=eve),
        local.post(f"{path}/test", by=eve),
        local.post(f"{path}/replay", since, by=eve),
        local.post(f"{path}/replay", {"delivery_id": delivery}, by=eve),
        local.get(f"{path}/deliveries", by=eve),
        local.get(f"{path}/deliveries/{delivery}", by=eve),
    ]
    assert [code_of(answer) for answer in answers] == ["WEBHOOK_ENDPOINT_NOT_FOUND"] * len(answers)
    mixed = [
        local.get(f"/webhooks/{other['id']}/deliveries/{delivery}", by=eve),
        local.post(f"/webhooks/{other['id']}/replay", {"delivery_id": delivery}, by=eve),
        local.get(f"{path}/deliveries/{uuid4()}", by=ada),
    ]
    assert [code_of(answer) for answer in mixed] == ["WEBHOOK_DELIVERY_NOT_FOUND"] * 3


def test_twenty_endpoints_are_enough_for_anybody_at_the_same_moment_too(local):
    ada = local.person()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: local.post("/webhooks", {"url": f"{URL}/{n}"}, by=ada), range(26)))
    assert sorted(answer.status_code for answer in answers) == [201] * 20 + [409] * 6
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert code_of(refused) == "TOO_MANY_WEBHOOK_ENDPOINTS"
    assert refused.json["error"]["params"] == {"limit": 20}
    make_endpoint(local, local.person(), URL)  # each has a number of their own


def test_everybodys_news_is_for_admins(local):
    for who in (local.person(), local.person(role="support")):
        refused = local.post("/webhooks", {"url": URL, "audience": "everybody"}, by=who)
        assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")
        own = make_endpoint(local, who, URL)
        refused = local.patch(f"/webhooks/{own['id']}", {"audience": "everybody"}, by=who)
        assert refused.status_code == 403
        assert local.get(f"/webhooks/{own['id']}", by=who).json["data"]["audience"] == "own"
    assert make_endpoint(local, local.admin(), URL, audience="everybody")["audience"] == "everybody"


def test_a_tools_token_without_the_scope_cannot_turn_everybodys_news_to_itself(local):
    admin = local.reauthenticated(local.admin())
    made = make_endpoint(local, admin, URL, audience="everybody")
    tool = {"name": "Tool", "scopes": ["webhooks:read", "webhooks:write"]}
    token = local.post("/auth/tokens", tool, by=admin).json["data"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/webhooks/{made['id']}"
    answers = [
        local.patch(path, {"url": "https://thief.example/"}, headers=headers),
        local.put(path, {"url": "https://thief.example/", "audience": "everybody"}, headers=headers),
        local.patch(path, {"events": []}, headers=headers),
        local.post(f"{path}/rotate-secret", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert endpoint_row(local, made["id"]).url == URL
    assert local.patch(path, {"audience": "own"}, headers=headers).status_code == 200


def test_deeds_are_in_the_trail_without_secrets_and_whole_addresses(local):
    ada = local.person()
    made = make_endpoint(local, ada, URL + "?token=hidden-in-the-address")
    local.patch(f"/webhooks/{made['id']}", {"url": URL + "?token=hidden-too"}, by=ada)
    local.post(f"/webhooks/{made['id']}/rotate-secret", by=ada)
    local.delete(f"/webhooks/{made['id']}", by=ada)
    trail = local.get(f"/audit/events?target_id={made['id']}&sort=created_at", by=local.admin())
    assert [event["action"] for event in trail.json["data"]] == [
        "webhook.created", "webhook.updated", "webhook.secret_rotated", "webhook.deleted",
    ]  # fmt: skip
    assert "hidden" not in trail.text
    assert "whsec_" not in trail.text


def test_an_owner_who_is_deleted_takes_everything_along(local):
    ada, admin = local.person(), local.reauthenticated(local.admin())
    make_endpoint(local, ada, URL)
    make_endpoint(local, admin, URL, audience="everybody")
    tell(local, ada.id, data={"name": "Ada"})
    with local.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(WebhookDelivery)) == 2
    assert local.delete(f"/users/{ada.id}", by=admin).status_code == 204
    with local.app.app_context():
        db.session.remove()
        assert db.session.scalar(select(func.count()).select_from(WebhookEndpoint)) == 1
        # Also what the team's endpoint was to be told of them.
        assert db.session.scalar(select(func.count()).select_from(WebhookDelivery)) == 0
