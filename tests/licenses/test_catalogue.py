"""Products, policies and entitlements: made, read, replaced, changed, removed."""

from uuid import uuid4

import pytest

from tests.factories import code_of

CODED = ["products", "entitlements"]
ALL = [*CODED, "policies"]


@pytest.fixture
def body_for(api):
    """The least body that makes a row of a table, and further values."""

    def body(table, **values):
        if table == "policies":
            return {"product_id": str(api.product()), "name": "pro", "max_machines": 3, **values}
        return {"name": "Dev Forge", "code": "dev-forge", **values}

    return body


@pytest.mark.parametrize("table", ALL)
def test_a_row_is_made_read_replaced_changed_and_removed(api, body_for, table):
    admin, body = api.admin(), body_for(table, metadata={"a": [1, {"b": None}]})
    made = api.post(f"/{table}", body, by=admin)
    data = made.json["data"]
    assert made.status_code == 201
    assert made.headers["Location"] == f"/api/v1/{table}/{data['id']}"
    assert {name: data[name] for name in body} == body
    path = f"/{table}/{data['id']}"
    assert api.get(path, by=admin).json["data"] == data
    patched = api.patch(path, {"name": "New"}, by=admin).json["data"]
    assert (patched["name"], patched["metadata"]) == ("New", body["metadata"])
    assert patched["updated_at"] > data["updated_at"]
    required = {name: value for name, value in body.items() if name != "metadata"}
    replaced = api.put(path, required, by=admin).json["data"]
    assert (replaced["name"], replaced["metadata"]) == (body["name"], {})
    assert api.delete(path, by=admin).status_code == 204
    for gone in (api.get(path, by=admin), api.patch(path, {}, by=admin), api.delete(path, by=admin)):
        assert gone.status_code == 404
        assert code_of(gone) in {"PRODUCT_NOT_FOUND", "POLICY_NOT_FOUND", "ENTITLEMENT_NOT_FOUND"}


def test_a_policy_has_the_documented_defaults_and_put_returns_to_them(api, body_for):
    admin = api.admin()
    api.entitlement("cloud-sync")
    body = body_for("policies")
    defaults = {"floating": False, "strict": False, "duration_days": None, "entitlements": []}
    made = api.post("/policies", body, by=admin).json["data"]
    assert {name: made[name] for name in defaults} == defaults
    other = {"floating": True, "strict": True, "duration_days": 9, "entitlements": ["cloud-sync"]}
    path = f"/policies/{made['id']}"
    changed = api.patch(path, other, by=admin).json["data"]
    assert {name: changed[name] for name in other} == other
    reset = api.put(path, body, by=admin).json["data"]
    assert {name: reset[name] for name in defaults} == defaults
    assert api.put(path, {"name": "pro"}, by=admin).status_code == 422


@pytest.mark.parametrize("table", CODED)
def test_a_code_is_taken_once(api, body_for, table):
    admin = api.admin()
    api.post(f"/{table}", body_for(table), by=admin)
    other = api.post(f"/{table}", body_for(table, code="other"), by=admin).json["data"]
    path = f"/{table}/{other['id']}"
    for refused in (
        api.post(f"/{table}", body_for(table), by=admin),
        api.patch(path, {"code": "dev-forge"}, by=admin),
        api.put(path, body_for(table), by=admin),
    ):
        assert (refused.status_code, code_of(refused)) == (409, "CODE_TAKEN")
        assert refused.json["error"]["field"] == "code"
    assert api.get(path, by=admin).json["data"] == other
    assert api.patch(path, {"code": "other"}, by=admin).status_code == 200  # its own


def test_a_product_and_an_entitlement_may_share_a_code(api, body_for):
    admin = api.admin()
    for table in CODED:
        assert api.post(f"/{table}", body_for(table), by=admin).status_code == 201


@pytest.mark.parametrize("code", ["", "Upper", "-first", "with space", "a/b", "ä", "a" * 65, "a\n", 7, None])
def test_a_code_is_for_programs(api, body_for, code):
    answer = api.post("/products", body_for("products", code=code), by=api.admin())
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "code")


def test_a_row_in_use_stays(api):
    admin = api.admin()
    product_id, entitlement_id = api.product(), api.entitlement("cloud-sync")
    policy_id = api.policy(product_id, entitlements=["cloud-sync"])
    license_ = api.license(policy_id)
    steps = [f"/policies/{policy_id}", f"/products/{product_id}", f"/entitlements/{entitlement_id}"]
    for path in steps:
        refused = api.delete(path, by=admin)
        assert (refused.status_code, code_of(refused)) == (409, "IN_USE")
        assert api.get(path, by=admin).status_code == 200
    assert api.delete(f"/licenses/{license_.id}", by=admin).status_code == 204
    assert [api.delete(path, by=admin).status_code for path in steps] == [204, 204, 204]


def test_a_policy_stays_with_its_product(api):
    admin, product_id = api.admin(), api.product()
    policy_id = api.policy(product_id)
    refused = api.patch(f"/policies/{policy_id}", {"product_id": str(api.product())}, by=admin)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "product_id")
    assert api.patch(f"/policies/{policy_id}", {"product_id": str(product_id)}, by=admin).status_code == 200


def test_unknown_references_of_a_policy_are_named_and_nothing_is_written(api, body_for):
    admin = api.admin()
    api.entitlement("known")
    for wrong, field in [
        ({"product_id": str(uuid4())}, "product_id"),
        ({"entitlements": ["known", "unknown-1", "unknown-2"]}, "entitlements"),
    ]:
        refused = api.post("/policies", body_for("policies", **wrong), by=admin)
        assert (refused.status_code, refused.json["error"]["field"]) == (422, field)
        assert refused.json["error"]["details"][0]["code"] == "NOT_FOUND"
    assert "unknown-1, unknown-2" in refused.json["error"]["message"]
    assert api.get("/policies", by=admin).json["pagination"]["total"] == 0
    policy_id = api.policy(entitlements=["known"])
    refused = api.patch(f"/policies/{policy_id}", {"name": "New", "entitlements": ["nope"]}, by=admin)
    assert refused.status_code == 422
    kept = api.get(f"/policies/{policy_id}", by=admin).json["data"]
    assert (kept["name"], kept["entitlements"]) == ("pro", ["known"])


def test_entitlements_of_a_policy_are_a_set_and_act_at_once(api, verdict):
    admin = api.admin()
    for code in ("a", "b", "c"):
        api.entitlement(code)
    policy_id = api.policy(entitlements=["b", "a", "b"])
    license_ = api.license(policy_id)
    assert api.get(f"/policies/{policy_id}", by=admin).json["data"]["entitlements"] == ["a", "b"]
    changed = api.patch(f"/policies/{policy_id}", {"entitlements": ["c"]}, by=admin)
    assert changed.json["data"]["entitlements"] == ["c"]
    assert verdict(license_, entitlements=["c"])["code"] == "VALID"
    assert verdict(license_, entitlements=["a"])["code"] == "ENTITLEMENTS_MISSING"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_machines", 0),
        ("max_machines", -1),
        ("max_machines", 1_000_001),
        ("max_machines", "3"),
        ("max_machines", 3.0),
        ("max_machines", True),
        ("duration_days", 0),
        ("duration_days", 36_501),
        ("floating", "yes"),
        ("strict", 1),
        ("name", ""),
        ("name", "n" * 101),
        ("name", None),
        ("entitlements", [None]),
        ("entitlements", "cloud-sync"),
        ("metadata", None),
        ("product_id", "none"),
    ],
)
def test_a_policy_of_wrong_values_is_refused_by_field(api, body_for, field, value):
    refused = api.post("/policies", body_for("policies", **{field: value}), by=api.admin())
    assert refused.status_code == 422
    assert refused.json["error"]["field"].split(".")[0] == field


@pytest.mark.parametrize("table", ALL)
def test_staff_read_the_catalogue_and_admins_write_it(api, body_for, table):
    support, admin, body = api.person(role="support"), api.admin(), body_for(table)
    made = api.post(f"/{table}", body, by=admin).json["data"]
    path = f"/{table}/{made['id']}"
    assert api.get(path, by=support).status_code == 200
    assert api.get(f"/{table}", by=support).json["pagination"]["total"] == 1
    for person, statuses in [
        (support, [200, 403, 403, 403, 403]),
        (api.person(), [403] * 5),
        (None, [401] * 5),
    ]:
        answers = [
            api.get(path, by=person),
            api.post(f"/{table}", body, by=person),
            api.put(path, body, by=person),
            api.patch(path, {}, by=person),
            api.delete(path, by=person),
        ]
        assert [answer.status_code for answer in answers] == statuses


@pytest.mark.parametrize("table", ALL)
def test_an_edit_of_an_old_copy_is_refused(api, body_for, table):
    admin = api.admin()
    path = api.post(f"/{table}", body_for(table), by=admin).headers["Location"].removeprefix("/api/v1")
    seen = {"If-Match": api.get(path, by=admin).headers["ETag"]}
    assert api.patch(path, {"name": "First"}, by=admin, headers=seen).status_code == 200
    refused = api.patch(path, {"name": "Second"}, by=admin, headers=seen)
    assert (refused.status_code, code_of(refused)) == (412, "PRECONDITION_FAILED")
    assert api.get(path, by=admin).json["data"]["name"] == "First"


def test_two_editors_at_once_both_arrive(api):
    from concurrent.futures import ThreadPoolExecutor

    admin, product_id = api.admin(), api.product()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: api.patch(f"/products/{product_id}", {"name": f"n{n}"}, by=admin), range(16))
        )
    assert {answer.status_code for answer in answers} == {200}
    final = api.get(f"/products/{product_id}", by=admin).json["data"]["name"]
    assert final in {answer.json["data"]["name"] for answer in answers}
