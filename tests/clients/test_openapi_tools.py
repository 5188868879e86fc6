"""The OpenAPI document, read by the tools that client authors use."""

import json
from pathlib import Path

import pytest

from devforge_api.app import create_app
from tests.clients.conftest import run_node

pytestmark = [pytest.mark.extended, pytest.mark.timeout(600)]

SAMPLE = """
import type { paths } from "./api";

type Body<P extends keyof paths> = paths[P] extends {
  post: { requestBody?: { content: { "application/json": infer B } } };
} ? B : never;
type Ok<P extends keyof paths> = paths[P] extends {
  post: { responses: { 200: { content: { "application/json": infer R } } } };
} ? R : never;

export const login: Body<"/api/v1/auth/login"> = { email: "ada@example.com", password: "correct horse" };
export const question: Body<"/api/v1/licenses/validate"> = { key: "DF-1", fingerprint: "m1", nonce: "n" };
export function tokenOf(answer: Ok<"/api/v1/auth/login">): string | undefined {
  return answer.data.access_token;
}
export function admits(answer: Ok<"/api/v1/licenses/validate">): boolean {
  return answer.success && answer.data.valid === true;
}
"""
WRONG = """
import type { paths } from "./api";
type Login = NonNullable<paths["/api/v1/auth/login"]["post"]["requestBody"]>["content"]["application/json"];
export const login: Login = { email: "ada@example.com" };
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("openapi")
    app = create_app({"DEVFORGE_DATA_DIR": str(folder)})
    path = folder / "openapi.json"
    path.write_text(json.dumps(app.test_client().get("/api/v1/openapi.json").get_json(), indent=1))
    return path


def test_redocly_finds_no_error(npm_packages, document):
    done = run_node(npm_packages, "redocly", "lint", str(document), "--format", "summary")
    assert "valid" in done.stdout + done.stderr


def test_spectral_finds_no_error(npm_packages, document):
    (npm_packages / ".spectral.yaml").write_text('extends: ["spectral:oas"]\n')
    run_node(npm_packages, "spectral", "lint", str(document), "--fail-severity", "error")


def generate(packages: Path, document: Path, types: Path) -> None:
    # A property with a default may be left out of a request: docs/api.md names this option.
    options = ("--default-non-nullable", "false")
    run_node(packages, "openapi-typescript", str(document), "-o", str(types), *options)


def test_a_generated_typescript_client_checks_a_sample_of_calls(npm_packages, document, tmp_path):
    generate(npm_packages, document, tmp_path / "api.d.ts")
    (tmp_path / "sample.ts").write_text(SAMPLE)
    run_node(npm_packages, "tsc", "--strict", "--noEmit", "--skipLibCheck", str(tmp_path / "sample.ts"))


def test_the_generated_types_refuse_a_wrong_call(npm_packages, document, tmp_path):
    generate(npm_packages, document, tmp_path / "api.d.ts")
    (tmp_path / "wrong.ts").write_text(WRONG)
    with pytest.raises(AssertionError, match="password"):
        run_node(npm_packages, "tsc", "--strict", "--noEmit", "--skipLibCheck", str(tmp_path / "wrong.ts"))
