"""What holds for every route below /api/, whoever added it."""

import re
from typing import Any
from uuid import uuid4

import pytest

from devforge_api.auth.models import Identity
from devforge_api.auth.scopes import PERSONAL, ROLE_SCOPES
from devforge_api.core.db import db, unit_of_work
from devforge_api.notifications.service import browsers
from devforge_api.users.models import Role
from devforge_api.webhooks.service import endpoints, replaying
from tests.factories import V1, code_of
from tests.factories.billing import Books
from tests.factories.notifications import Browser, tell
from tests.files.samples import picture, put_avatar, upload

# Whose `{id}` it is, is no secret to these.
PUBLIC_DOCUMENT = "/api/v1/openapi.json"
EVERYBODYS = {"avatar_id"}
OWNERS_ALONE = PERSONAL | {"files:read", "notifications:read", "webhooks:read"}


def routes(app):
    """Every (method, rule, access) below /api/."""
    declared = app.extensions["devforge-access"]
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/") and rule.rule != PUBLIC_DOCUMENT:
            for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
                yield method, rule, declared.get((rule.endpoint, method))


@pytest.fixture
def existing(api):
    """Somebody's resources, by the name of the path's argument."""
    owner = api.reauthenticated(api.admin())
    license_ = api.license(owner=owner, policy={"duration_days": 30})
    body = {"key": license_.key, "fingerprint": "m1"}
    machine = api.post("/licenses/activate", body).json["data"]["id"]
    guest = api.person()
    api.post(f"/licenses/{license_.id}/users", {"email": guest.email}, by=owner)
    session = api.get("/auth/sessions", by=owner).json["data"][0]["id"]
    tool = {"name": "Tool", "scopes": ["profile:read"]}
    account = api.post("/auth/service-accounts", tool, by=owner).json["data"]["id"]
    token = api.post(f"/auth/service-accounts/{account}/tokens", tool, by=owner).json["data"]["id"]
    with api.app.app_context(), unit_of_work():
        identity = Identity(user_id=owner.id, provider="acme", subject="1")
        db.session.add(identity)
    tell(api, [owner])
    notification = api.get("/notifications", by=owner).json["data"][0]["id"]
    with api.app.app_context(), unit_of_work():
        browser = Browser.at("https://push.example.net/x")
        keys = browser.subscription["keys"]
        subscribed = browsers.register(owner.id, endpoint=browser.endpoint, **keys, user_agent=None)
    release = api.release(license_.product_id, "1.0", draft=True)
    resources = {
        "products": license_.product_id,
        "policies": license_.policy_id,
        "entitlements": api.entitlement("cloud-sync"),
    }
    file = upload(api, picture(), "a.png", by=owner).json["data"]["id"]
    avatar = put_avatar(api, picture(), by=owner).json["data"]["id"]
    books = Books(api)
    price = books.price(license_.policy_id)
    order = books.order(owner, [(price, 1)])
    payment = books.payment(order)
    refund, subscription = books.refund(payment), books.subscription(order)
    invoice = books.invoice(payment, order, number=1)
    with api.app.app_context(), unit_of_work():
        hook = {"url": "https://example.com/hook", "events": []}
        endpoint = endpoints.create(owner.id, hook, for_everybody=False).row
        delivery = replaying.send_test(endpoint)

    def find(rule):
        ids = {
            "file_id": file,
            "avatar_id": avatar,
            "identity_id": identity.id,
            "license_id": license_.id,
            "machine_id": machine,
            "release_id": release,
            "price_id": price.id,
            "order_id": order.id,
            "payment_id": payment.id,
            "refund_id": refund.id,
            "invoice_id": invoice.id,
            "subscription_id": subscription.id,
            "endpoint_id": endpoint.id,
            "delivery_id": delivery.id,
            "notification_id": notification,
            "push_subscription_id": subscribed.id,
            "endpoint_hash": subscribed.endpoint_hash,
            "provider": "nobody",  # what is configured is no secret, and nobody's
            "session_id": session,
            "service_account_id": account,
            "token_id": token,
            "user_id": guest.id if rule.rule.startswith(f"{V1}/licenses/") else owner.id,
            "resource_id": resources.get(rule.rule.split("/")[3]),
        }
        return {name: ids[name] for name in rule.arguments}  # a new kind of id is added here

    find.owner = owner
    return find


def path_of(rule, ids):
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(ids[match[1]]), rule.rule)
    return path.removeprefix(V1)


BODIES: dict[str, dict[str, Any]] = {
    "PUT /products": {"name": "Mine", "code": "mine"},
    "PUT /auth": {"name": "Mine", "scopes": ["profile:read"]},
    "POST /auth": {"name": "Mine"},
    "PUT /releases": {"product_id": str(uuid4()), "version": "1.0"},
    "PUT /entitlements": {"name": "Mine", "code": "mine"},
    f"POST {V1}/billing/subscriptions/<uuid:subscription_id>/change": {"price_id": str(uuid4())},
    "PUT /webhooks": {"url": "https://example.com/mine"},
    f"POST {V1}/webhooks/<uuid:endpoint_id>/replay": {"since": "2026-01-15T09:30:00Z"},
    "PUT /policies": {"product_id": str(uuid4()), "name": "mine", "max_machines": 1},
}


def test_every_route_declares_who_may_call_it(app):
    found = list(routes(app))
    assert len(found) > 40
    scopes = frozenset().union(*ROLE_SCOPES.values())
    for method, rule, access in found:
        assert access is not None, f"{method} {rule}"
        assert access.scope is None or access.scope in scopes, f"{method} {rule}: {access.scope}"


def test_every_scope_is_asked_for_somewhere(app):
    asked = {access.scope for _, _, access in routes(app)}
    # Two scopes widen what another route does instead of opening one.
    assert frozenset().union(*ROLE_SCOPES.values()) - asked <= {"licenses:read_all", "webhooks:everybody"}


def test_nobody_enters_a_scoped_route_without_a_token(api, existing):
    scoped = [(method, rule) for method, rule, access in routes(api.app) if access.scope]
    for method, rule in scoped:
        refused = api.call(method, path_of(rule, existing(rule)), {} if method != "GET" else None)
        assert (refused.status_code, code_of(refused)) == (401, "TOKEN_MISSING"), f"{method} {rule}"


def test_what_is_another_users_is_not_there_for_a_stranger(api, existing):
    stranger = api.reauthenticated(api.person())
    with_ids = [one for one in routes(api.app) if one[1].arguments - EVERYBODYS]
    assert len(with_ids) > 15
    for method, rule, access in with_ids:
        path = path_of(rule, existing(rule))
        body = None if method == "GET" else BODIES.get(f"{method} /{path.split('/')[1]}", {})
        body = BODIES.get(f"{method} {rule.rule}", body)
        refused = api.call(method, path, body, by=stranger)
        lacks_scope = access.scope not in {None, *ROLE_SCOPES[Role.USER]}
        expected = (403, "FORBIDDEN") if lacks_scope else (404, code_of(refused))
        assert (refused.status_code, code_of(refused)) == expected, f"{method} {rule}"
        assert refused.status_code == 403 or code_of(refused).endswith("NOT_FOUND")


def test_what_is_another_users_looks_like_what_does_not_exist(api, existing):
    stranger = api.reauthenticated(api.person())
    for method, rule, access in routes(api.app):
        if not rule.arguments or access.scope not in ROLE_SCOPES[Role.USER]:
            continue
        ids = existing(rule)
        body: dict[str, Any] | None = None if method == "GET" else {}
        answers = [
            api.call(method, path_of(rule, values), body, by=stranger).json["error"]
            for values in (ids, {name: uuid4() for name in ids})
        ]
        for answer in answers:
            answer.pop("request_id")
        assert answers[0] == answers[1], f"{method} {rule}"


def test_the_owner_or_an_admin_reaches_what_a_stranger_does_not(api, existing):
    """The guards above would pass on routes that refuse everybody."""
    admin = api.admin()
    reached = 0
    for method, rule, access in routes(api.app):
        if method == "GET" and rule.arguments and "provider" not in rule.arguments:
            # What is personal is the owner's alone.
            who = existing.owner if access.scope in OWNERS_ALONE else admin
            assert api.get(path_of(rule, existing(rule)), by=who).status_code == 200, str(rule)
            reached += 1
    assert reached >= 9


def test_what_can_be_read_is_deleted_only_in_the_state_that_was_read(api, existing):
    rules = {(method, rule.rule): rule for method, rule, _ in routes(api.app)}
    deletable = [
        rule for (method, path), rule in rules.items() if method == "DELETE" and ("GET", path) in rules
    ]
    assert len(deletable) >= 8
    for rule in deletable:
        path = path_of(rule, existing(rule))
        refused = api.delete(path, by=existing.owner, headers={"If-Match": '"of-another-state"'})
        assert (refused.status_code, code_of(refused)) == (412, "PRECONDITION_FAILED"), str(rule)
        assert api.get(path, by=existing.owner).status_code == 200, str(rule)


def test_every_method_that_is_not_there_is_a_405_in_the_envelope(api, existing):
    for rule in {rule.rule: rule for _, rule, _ in routes(api.app)}.values():
        refused = api.call("TRACE", path_of(rule, existing(rule)))
        assert (refused.status_code, code_of(refused)) == (405, "METHOD_NOT_ALLOWED"), str(rule)
        assert refused.headers["Allow"]
