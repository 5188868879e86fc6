"""Our webhooks, received by a real server and verified by npm's standardwebhooks."""

import json
import os
import shutil
import subprocess
from datetime import timedelta

import pytest

from tests.clients.conftest import FOLDER, NODE, run_node
from tests.docs.offline import EXAMPLES
from tests.receiver import receiver
from tests.webhooks.world import data_of, make_endpoint, tell

pytestmark = [pytest.mark.extended, pytest.mark.timeout(600)]


@pytest.fixture
def verify(npm_packages):
    """What npm's package makes of messages."""
    shutil.copy(FOLDER / "webhook_verifier.mjs", npm_packages)

    def run(*messages):
        lines = "".join(
            json.dumps({"secret": secret, "headers": one.headers, "body": one.body.decode()}) + "\n"
            for secret, one in messages
        )
        path = os.pathsep.join([f"{NODE}/bin", os.environ["PATH"]])
        done = subprocess.run(
            ["node", "webhook_verifier.mjs"], cwd=npm_packages, input=lines, capture_output=True, text=True,
            check=False, env={**os.environ, "PATH": path},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def test_node_verifies_deliveries_also_while_the_secret_is_rotated(make_api, verify):
    api = make_api(DEVFORGE_LOCAL_DESTINATIONS="loopback", OUTBOX_LEASE=timedelta(seconds=60))
    ada = api.person()
    with receiver() as peer:
        made = make_endpoint(api, ada, peer.url)
        tell(api, ada.id, data={"license_id": "1", "name": "Ä"})
        api.deliver()
        rotated = data_of(api.post(f"/webhooks/{made['id']}/rotate-secret", by=ada))
        tell(api, ada.id, data={"license_id": "2"})
        api.deliver()
        before, during = peer.received
    old, new = made["secret"], rotated["secret"]
    found = verify((old, before), (old, during), (new, during), (new, before))
    assert found[0]["verified"]["data"] == {"license_id": "1", "name": "Ä"}
    assert found[1]["verified"]["data"] == found[2]["verified"]["data"] == {"license_id": "2"}
    assert found[3] == {"refused": "WebhookVerificationError"}


def test_the_example_is_well_typed(npm_packages):
    folder = npm_packages / "webhooks"
    folder.mkdir(exist_ok=True)
    shutil.copy(EXAMPLES / "webhook_receiver.ts", folder)
    options = ["--strict", "--noEmit", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"]
    more = ["--types", "node", "--erasableSyntaxOnly", "--noUncheckedIndexedAccess"]
    run_node(npm_packages, "tsc", *options, *more, str(folder / "webhook_receiver.ts"))
