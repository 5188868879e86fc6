"""What docs/licensing.md says of verdicts is what the code does."""

import re
from pathlib import Path

from devforge_api.licenses.models import Action
from devforge_api.licenses.service.validation import DETAILS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "licensing.md"


def documented_codes() -> list[str]:
    """The codes of the table of verdicts, in its order."""
    table = PAGE.read_text().partition("## Verdicts")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [code for row in rows for code in re.findall(r"`([A-Z_]+)`", row)]


def test_every_verdict_is_documented_once():
    assert sorted(documented_codes()) == sorted(DETAILS)


def test_verdicts_stand_in_the_order_in_which_they_are_decided():
    """The order itself is held by tests/licenses/test_verdict_order.py."""
    assert documented_codes() == [
        "NOT_FOUND", "PENDING", "BANNED", "REVOKED", "SUSPENDED", "OVERDUE",
        "PRODUCT_SCOPE_MISMATCH", "PRODUCT_SCOPE_REQUIRED", "POLICY_SCOPE_MISMATCH", "POLICY_SCOPE_REQUIRED",
        "USER_SCOPE_MISMATCH", "USER_SCOPE_REQUIRED", "ENTITLEMENTS_SCOPE_EMPTY", "ENTITLEMENTS_MISSING",
        "NO_MACHINE", "NO_MACHINES", "HEARTBEAT_NOT_STARTED", "HEARTBEAT_DEAD", "FINGERPRINT_SCOPE_EMPTY",
        "FINGERPRINT_SCOPE_MISMATCH", "FINGERPRINT_SCOPE_REQUIRED", "COMPONENTS_SCOPE_EMPTY",
        "COMPONENTS_SCOPE_MISMATCH", "COMPONENTS_SCOPE_REQUIRED", "VERSION_SCOPE_MISMATCH",
        "VERSION_SCOPE_REQUIRED", "TOO_MANY_MACHINES", "TOO_MANY_CORES", "TOO_MANY_USERS", "EXPIRED", "VALID",
    ]  # fmt: skip


def test_every_action_is_documented():
    table = PAGE.read_text().partition("## Verdicts")[2].partition("\n## ")[0]
    assert [action for action in Action if f"`{action}`" not in table] == []


def test_the_calls_of_the_page_answer_as_it_says(api):
    license_ = api.license(policy={"max_machines": 1, "floating": False})
    machine = {"key": license_.key, "fingerprint": "a-hashed-id"}

    def validate(**values):
        return api.post("/licenses/validate", {**machine, **values}).json["data"]

    # Start-up of an app: validate; on NO_MACHINE activate, then go on.
    assert validate()["code"] == "NO_MACHINE"
    assert api.post("/licenses/activate", machine).status_code == 201
    assert api.post("/licenses/activate", machine).status_code == 200
    assert set(validate(nonce="n")) == {"valid", "code", "detail", "license", "nonce", "ts"}
    assert validate()["code"] == "VALID"
    other = api.post("/licenses/activate", {**machine, "fingerprint": "another"})
    assert (other.status_code, other.json["error"]["code"]) == (409, "MACHINE_LIMIT_EXCEEDED")
    assert api.post("/licenses/deactivate", machine).status_code == 204
    assert validate()["code"] == "NO_MACHINE"
