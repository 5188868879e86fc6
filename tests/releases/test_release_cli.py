"""``flask releases``."""

import json

import pytest


@pytest.fixture
def releases(app):
    """Run ``flask releases`` with these arguments."""
    return lambda *arguments: app.test_cli_runner().invoke(args=["releases", *arguments])


def test_a_pipeline_publishes_what_was_drafted_or_not(api, releases, verdict_of):
    product_id = api.product("dev-forge")
    api.release(product_id, "1.0", draft=True)
    for version in ("1.0", "1.1"):
        done = releases("publish", "dev-forge", version, "--at", "2026-01-02", "--json")
        assert done.exit_code == 0, done.output
        (row,) = json.loads(done.output)
        assert (row["version"], row["status"], row["published_at"]) == (
            version,
            "published",
            "2026-01-02T00:00:00Z",
        )
        assert verdict_of(product_id, version) == "VALID"


@pytest.fixture
def verdict_of(api):
    def ask(product_id, version):
        key = api.license(api.policy(product_id)).key
        return api.post("/licenses/validate", {"key": key, "version": version}).json["data"]["code"]

    return ask


def test_a_withdrawn_version_is_covered_by_no_licence(api, releases, verdict_of):
    product_id = api.product("dev-forge")
    assert releases("publish", "dev-forge", "1.0").exit_code == 0
    done = releases("yank", "dev-forge", "1.0", "--reason", "Loses unsaved [files].")
    assert done.exit_code == 0, done.output
    assert "Loses unsaved [files]." in done.output
    assert verdict_of(product_id, "1.0") == "VERSION_SCOPE_MISMATCH"


def test_releases_are_listed_by_product_and_status(api, releases):
    one, other = api.product("dev-forge"), api.product("anvil")
    api.release(one, "1.0")
    api.release(one, "2.0", draft=True)
    api.release(other, "7.0")

    def listed(*arguments):
        done = releases("list", "--json", *arguments)
        assert done.exit_code == 0, done.output
        return [(row["product"], row["version"]) for row in json.loads(done.output)]

    assert listed() == [("anvil", "7.0"), ("dev-forge", "2.0"), ("dev-forge", "1.0")]
    assert listed("--product", "dev-forge") == [("dev-forge", "2.0"), ("dev-forge", "1.0")]
    assert listed("--status", "published", "--limit", "1") == [("anvil", "7.0")]
    assert listed("--product", "anvil", "--status", "draft") == []
    assert releases("list", "--product", "anvil", "--status", "draft").output == "None.\n"


def test_what_cannot_be_done_ends_with_one_line_and_code_1(api, releases):
    api.release(api.product("dev-forge"), "1.0")
    api.release(api.product("anvil"), "7.0", draft=True)
    for arguments, words in [
        (["publish", "dev-forge", "1.0"], "RELEASE_NOT_DRAFT"),
        (["publish", "dev-forge", "1 0"], "version"),
        (["publish", "nothing", "1.0"], "No product has the code nothing."),
        (["yank", "dev-forge", "9.0"], "dev-forge has no version 9.0."),
        (["yank", "anvil", "7.0"], "RELEASE_NOT_PUBLISHED"),
        (["yank", "nothing", "1.0"], "No product has the code nothing."),
        (["yank", "dev-forge", "1.0", "--reason", "x" * 1001], "reason"),
        (["list", "--product", "nothing"], "No product has the code nothing."),
    ]:
        done = releases(*arguments)
        assert done.exit_code == 1, (arguments, done.output)
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1
    assert api.get("/releases", by=api.admin()).json["pagination"]["total"] == 2


@pytest.mark.parametrize(
    "arguments", [[], ["publish", "x"], ["publish", "x", "1", "--at", "soon"], ["list", "--status", "lost"]]
)
def test_a_misspelt_command_ends_with_code_2(releases, arguments):
    assert releases(*arguments).exit_code == 2
