"""docs/examples/verify_license.ts under the strictest of TypeScript's eyes; at work: tests/docs."""

import shutil

import pytest

from tests.clients.conftest import run_node
from tests.docs.offline import EXAMPLES

pytestmark = [pytest.mark.extended, pytest.mark.timeout(600)]


def test_the_example_is_well_typed(npm_packages):
    folder = npm_packages / "verify-license"
    folder.mkdir(exist_ok=True)
    shutil.copy(EXAMPLES / "verify_license.ts", folder)
    options = ["--strict", "--noEmit", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"]
    more = ["--types", "node", "--erasableSyntaxOnly", "--noUncheckedIndexedAccess"]
    run_node(npm_packages, "tsc", *options, *more, str(folder / "verify_license.ts"))
