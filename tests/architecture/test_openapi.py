"""The OpenAPI document, and whether its examples are true."""

import re
from functools import partial

import pyotp
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from devforge_api.billing.models import Account
from devforge_api.core.db import unit_of_work
from devforge_api.notifications.service import browsers
from devforge_api.registry import BLUEPRINTS
from tests.factories import PASSWORD, V1
from tests.factories.billing import Books
from tests.factories.notifications import Browser, tell
from tests.files.samples import picture, put_avatar, upload

METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture
def document(client):
    return client.get(f"{V1}/openapi.json").json


@pytest.fixture
def operations(document):
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


@pytest.fixture
def check(document):
    """Validate a value against a schema of the document, its references resolved."""
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:document", resource)

    def absolute(node):
        if isinstance(node, dict):
            return {
                key: "urn:document" + value if key == "$ref" else absolute(value)
                for key, value in node.items()
            }
        return [absolute(item) for item in node] if isinstance(node, list) else node

    def run(schema, value, where):
        validator = Draft202012Validator(absolute(schema), registry=registry, format_checker=FormatChecker())
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
        assert errors == [], where

    return run


def media(part):
    """What is JSON; or, of a body, a form."""
    content = part.get("content", {})
    return content.get("application/json") or content.get("multipart/form-data", {})


def test_the_document_is_valid_and_of_version_3_1(document):
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_every_route_of_the_api_is_documented(app, operations):
    documented = {name for name, _ in operations}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/") and rule.endpoint != "api-docs.openapi_json":
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in rule.methods & {one.upper() for one in METHODS}:
                assert f"{method} {path}" in documented


def test_every_operation_can_be_named_found_and_understood(operations):
    ids = [operation["operationId"] for _, operation in operations]
    assert len(ids) == len(set(ids))
    for name, operation in operations:
        assert re.fullmatch(r"[A-Z].*[^.]", operation["summary"]), name
        assert operation["tags"], name
        assert any(status[0] in "23" for status in operation["responses"]), name


def test_every_scoped_operation_says_so(app, operations):
    scopes = {operation.get("x-scope") for _, operation in operations} - {None}
    assert scopes <= {access.scope for access in app.extensions["devforge-access"].values()}
    for name, operation in operations:
        assert bool(operation["security"]) == ("x-scope" in operation), name
        if "x-scope" in operation:
            assert {"401", "403"} <= set(operation["responses"]), name


def test_every_answer_has_an_example_that_fits_its_schema(operations, check):
    checked = 0
    for name, operation in operations:
        if not name.split()[1].startswith("/api/"):
            continue
        for status, response in operation["responses"].items():
            content = media(response)
            if status.startswith("2") and content:
                assert "example" in content, f"{name} {status}"
                assert "schema" in content, f"{name} {status}"
                check(content["schema"], content["example"], f"{name} {status}")
                checked += 1
    assert checked > 30


def test_the_longest_answers_about_licences_fit_their_schemas(api, operations, check):
    admin, documented = api.admin(), dict(operations)
    link = {"renewal_url": f"https://example.com/renew?plan={'p' * 300}"}
    license_ = api.license(policy={"duration_days": 30, "metadata_": link}, owner=admin)
    nonce, machine = "n" * 256, {"key": license_.key, "fingerprint": "f" * 255}
    named = {"license_id": license_.id, "release_id": api.release(license_.product_id, "1.0")}

    def ask(operation, body=None, query=""):
        method, path = operation.split()
        address = path.removeprefix(V1).format(**named) + query
        answer = api.call(method, address, body, by=admin)
        assert answer.status_code == 200, answer.json
        check(media(documented[operation]["responses"]["200"])["schema"], answer.json, operation)
        return answer.json["data"]

    ensured = ask(f"POST {V1}/licenses/ensure", {**machine, "nonce": nonce})
    assert len(ensured["lease"]["file"]) > 1_000
    named["machine_id"] = ensured["machine"]["id"]
    ask(f"GET {V1}/licenses/{{license_id}}/file")
    ask(f"GET {V1}/licenses/{{license_id}}/machines/{{machine_id}}/file")
    ask(f"GET {V1}/licenses/revocations")
    ask(f"POST {V1}/releases/{{release_id}}/yank", {"reason": "r" * 1_000})
    api.patch(f"/licenses/{license_.id}", {"expires_at": "2020-01-01T00:00:00Z"}, by=admin)
    verdict = ask(f"POST {V1}/licenses/validate", {**machine, "nonce": nonce}, "?explain=true")
    assert len(verdict["checks"][0]["remedy"]["url"]) > 300
    ask(f"POST {V1}/licenses/{{license_id}}/suspend", {"reason": "r" * 500})
    ask(f"GET {V1}/licenses/{{license_id}}/ledger")


def test_what_was_created_says_where_it_is(operations):
    made = {
        name: operation["responses"]["201"]
        for name, operation in operations
        if "201" in operation["responses"]
    }
    assert len(made) > 8
    assert [name for name, answer in made.items() if "Location" not in answer.get("headers", {})] == []


def test_every_body_has_an_example_that_fits_its_schema(operations, check):
    for name, operation in operations:
        if "requestBody" in operation:
            content = media(operation["requestBody"])
            check(content["schema"], content["example"], name)


def test_every_body_example_is_taken_by_the_route_s_own_schema():
    loaded = 0
    for blueprint in BLUEPRINTS:
        for methods in blueprint._docs.values():
            for info in methods.values():
                arguments = info.get("arguments") if isinstance(info, dict) else None
                for parameter in (arguments or {}).get("parameters", []):
                    if parameter["in"] == "json":
                        parameter["schema"].load(parameter["example"])
                        loaded += 1
    assert loaded > 15


def ways_in(api):
    """Answers of every kind about signing in, by their places in the document."""
    person = api.reauthenticated(api.person())
    get, post = partial(api.get, by=person), partial(api.post, by=person)
    tool = {"name": "Tool", "scopes": ["profile:read"]}
    enrolled = post("/auth/mfa/totp")
    code = pyotp.TOTP(enrolled.json["data"]["secret"]).now()
    confirmed = post("/auth/mfa/totp/confirm", {"code": code})
    challenge = api.post("/auth/login", {"email": person.email, "password": PASSWORD})
    answer = {
        "challenge_token": challenge.json["data"]["challenge_token"],
        "code": confirmed.json["data"]["recovery_codes"][0],
    }
    token, account = post("/auth/tokens", tool), post("/auth/service-accounts", tool)
    one, tokens = "/auth/service-accounts/{service_account_id}", "/tokens"
    path = f"/auth/service-accounts/{account.json['data']['id']}"
    return {
        ("/auth/register", "post"): api.post("/auth/register", {"email": "a@x.org", "password": PASSWORD}),
        ("/auth/refresh", "post"): api.post("/auth/refresh", {"refresh_token": person.refresh_token}),
        ("/auth/mfa/totp", "post"): enrolled,
        ("/auth/mfa/totp/confirm", "post"): confirmed,
        ("/auth/login", "post"): challenge,
        ("/auth/mfa/verify", "post"): api.post("/auth/mfa/verify", answer),
        ("/auth/mfa/recovery-codes", "post"): post("/auth/mfa/recovery-codes"),
        ("/auth/mfa", "get"): get("/auth/mfa"),
        ("/auth/tokens", "post"): token,
        ("/auth/tokens", "get"): get("/auth/tokens"),
        ("/auth/tokens/{token_id}", "get"): get(f"/auth/tokens/{token.json['data']['id']}"),
        ("/auth/service-accounts", "post"): account,
        ("/auth/service-accounts", "get"): get("/auth/service-accounts"),
        (one, "get"): get(path),
        (one, "patch"): api.patch(path, {"description": "Signs."}, by=person),
        (one + tokens, "post"): post(path + tokens, {"name": "Runner"}),
        (one + tokens, "get"): get(path + tokens),
        ("/auth/identities", "get"): get("/auth/identities"),
        ("/auth/oauth/providers", "get"): api.get("/auth/oauth/providers"),
        ("/users/me", "get"): get("/users/me"),
    }


def money(api, admin):
    """Answers about what was bought, by their places in the document."""
    books = Books(api)
    order = books.order(admin, [(books.price(), 1)], licensed=True)
    payment = books.payment(order)
    invoice = books.invoice(payment, order, number=1)
    refund, subscription = books.refund(payment), books.subscription(order)
    books.posting("payment:1", order, {Account.PROVIDER: 5900, Account.REVENUE: -5900})
    books.event(order_id=order.id)
    rows = {"order": order, "payment": payment, "refund": refund, "invoice": invoice}
    rows["subscription"] = subscription
    get = partial(api.get, by=admin)
    lists = [*(f"{name}s" for name in rows), "ledger", "events", "report"]
    return {
        **{(f"/billing/{name}", "get"): get(f"/billing/{name}") for name in lists},
        **{
            (f"/billing/{name}s/{{{name}_id}}", "get"): get(f"/billing/{name}s/{row.id}")
            for name, row in rows.items()
        },
    }


def told(api, person):
    """Answers about what somebody is told, by their places in the document."""
    tell(api, [person])
    tell(api, [person], "auth.mfa_enabled")  # about nothing that has a page
    api.get("/notifications/push-key", by=person)
    with api.app.app_context(), unit_of_work():
        keys = Browser.at("https://push.example.net/x").subscription["keys"]
        made = browsers.register(person.id, endpoint="https://push.example.net/x", **keys, user_agent=None)
    top, one = "/notifications", "/notifications/push-subscriptions/{push_subscription_id}"
    get = partial(api.get, by=person)
    first = get(top).json["data"][0]["id"]
    return {
        (top, "get"): get(top),
        (f"{top}/{{notification_id}}", "get"): get(f"{top}/{first}"),
        (f"{top}/unread-count", "get"): get(f"{top}/unread-count"),
        (f"{top}/read", "post"): api.post(f"{top}/read", {"all": True}, by=person),
        (f"{top}/preferences", "get"): get(f"{top}/preferences"),
        (f"{top}/preferences", "patch"): api.patch(f"{top}/preferences", {}, by=person),
        (f"{top}/push-key", "get"): get(f"{top}/push-key"),
        (f"{top}/push-subscriptions", "get"): get(f"{top}/push-subscriptions"),
        (one, "get"): get(one.format(push_subscription_id=made.id)),
    }


def files(api, admin):
    """Answers about uploaded files, by their places in the document."""
    made = upload(api, picture(), "a.png", by=admin)
    return {
        ("/files", "post"): made,
        ("/files", "get"): api.get("/files", by=admin),
        ("/files/{file_id}", "get"): api.get(f"/files/{made.json['data']['id']}", by=admin),
        ("/users/me/avatar", "put"): put_avatar(api, picture(), by=admin),
    }


def test_answers_given_are_answers_documented(api, document, check):
    """Real answers of every kind of resource, against the schemas that the document promises."""
    admin = api.admin()
    license_ = api.license(owner=admin)
    machine = api.post("/licenses/activate", {"key": license_.key, "fingerprint": "m1"})
    entitlement = api.entitlement("cloud-sync")
    release = api.release(license_.product_id, "1.0")
    # A mismatch of everything: remedies with machines, versions and codes.
    mismatch = {"key": license_.key, "fingerprint": "m2", "version": "2.0", "entitlements": ["none"]}
    api.patch(f"/policies/{license_.policy_id}", {"max_machines": 1}, by=admin)
    explained = api.post("/licenses/validate?explain=true", mismatch)
    get = partial(api.get, by=admin)
    answers = {
        ("/auth/me", "get"): get("/auth/me"),
        ("/auth/sessions", "get"): get("/auth/sessions"),
        ("/auth/activity", "get"): get("/auth/activity"),
        ("/users", "get"): get("/users"),
        ("/users/{user_id}", "get"): get(f"/users/{admin.id}"),
        ("/users/me/settings", "get"): get("/users/me/settings"),
        ("/products", "get"): get("/products?limit=1"),
        ("/products/{resource_id}", "get"): get(f"/products/{license_.product_id}"),
        ("/policies/{resource_id}", "get"): get(f"/policies/{license_.policy_id}"),
        ("/entitlements/{resource_id}", "get"): get(f"/entitlements/{entitlement}"),
        ("/releases", "get"): get("/releases"),
        ("/releases/{release_id}", "get"): get(f"/releases/{release}"),
        ("/licenses", "get"): get("/licenses"),
        ("/licenses/{license_id}", "get"): get(f"/licenses/{license_.id}"),
        ("/licenses/{license_id}/machines", "get"): get(f"/licenses/{license_.id}/machines"),
        ("/licenses/activate", "post"): machine,
        ("/licenses/validate", "post"): api.post("/licenses/validate", {"key": license_.key, "nonce": "n"}),
        ("/licenses/validate?explain=true", "post"): explained,
        ("/audit/events", "get"): get("/audit/events"),
        **ways_in(api),
        **money(api, admin),
        **told(api, admin),
        **files(api, admin),
    }
    for (path, method), answer in answers.items():
        assert answer.status_code in {200, 201}, f"{method} {path}: {answer.json}"
        assert ("Location" in answer.headers) == (answer.status_code == 201), f"{method} {path}"
        responses = document["paths"][V1 + path.partition("?")[0]][method]["responses"]
        check(media(responses[str(answer.status_code)])["schema"], answer.json, f"{method} {path}")
    unknown = api.post("/licenses/validate", {"key": "unknown"})
    schema = media(document["paths"][f"{V1}/licenses/validate"]["post"]["responses"]["200"])["schema"]
    check(schema, unknown.json, "an unknown key")
    refused = api.post("/policies", {"name": ""}, by=admin)
    check({"$ref": "#/components/schemas/Error"}, refused.json, "a refusal")
