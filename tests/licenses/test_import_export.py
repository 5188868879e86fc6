"""``flask licenses import`` and ``export``: safe to repeat, every bad line by its number."""

import csv
import json
import stat

import pytest
from sqlalchemy import func, select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.cli import bulk
from devforge_api.licenses.cli.lines import read_lines
from devforge_api.licenses.models import CauseKind, License
from devforge_api.licenses.service.importing import Import
from devforge_api.licenses.service.record import Cause
from tests.licenses.together import at_once

OLD_KEY = "ABCD-EFGH-IJKL-MNOP-0001"


@pytest.fixture
def plan(api):
    return api.policy(api.product("dev-forge"), name="pro", max_machines=3, duration_days=30)


@pytest.fixture
def load(app, tmp_path):
    """Import this text; the summary and the lines that were told of."""

    def invoke(text, *options, code=0, delimiter=None):
        path = tmp_path / "licenses.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        arguments = ["licenses", "import", str(path), "--json", *options]
        done = app.test_cli_runner().invoke(args=arguments)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return (json.loads(done.stdout)[0] if done.stdout else None), done.stderr

    return invoke


def licenses(api, query=""):
    answer = api.get(f"/licenses?sort=created_at&limit=100{query}", by=api.admin())
    return answer.json["data"]


def count(api):
    with api.app.app_context():
        return db.session.scalar(select(func.count()).select_from(License))


def test_every_column_finds_its_place(api, plan, load, verdict):
    owner = api.person(email="ada@example.com")
    text = (
        "policy,email,user_id,key,status,expires_at,max_machines,metadata,metadata.crm\n"
        f'dev-forge/pro,Ada@Example.com,,{OLD_KEY},active,2041-02-03,7,"{{""a"": 1}}",4711\n'
        f"{plan},,{owner.id},,suspended,2041-02-03T04:05:06+02:00,,,\n"
        "dev-forge/pro,late@example.com,,,pending,,,,\n"
        "dev-forge/pro,,,,revoked,,,,\n"
    )
    told, errors = load(text)
    assert (told, errors) == ({"made": 4, "there_already": 0, "bad": 0}, "")
    first, second, third, fourth = licenses(api)
    assert (first["key"], first["user_id"]) == (OLD_KEY, str(owner.id))
    assert (first["expires_at"], first["metadata"]) == ("2041-02-03T00:00:00Z", {"a": 1, "crm": "4711"})
    assert (second["status"], second["expires_at"]) == ("suspended", "2041-02-03T02:05:06Z")
    assert (third["status"], third["user_id"], third["expires_at"]) == ("pending", None, None)
    assert fourth["status"] == "revoked"
    with api.app.app_context():
        limits = db.session.scalars(select(License.max_machines).order_by(License.created_at, License.id))
        assert limits.all() == [7, None, None, None]
    assert verdict(OLD_KEY)["code"] == "VALID"


def test_the_same_file_twice_makes_nothing_twice(api, plan, load):
    text = (
        "policy,email,key,reference,metadata.n\n"
        f"dev-forge/pro,a@example.com,{OLD_KEY},,\n"
        "dev-forge/pro,a@example.com,,order-1,\n"
        "dev-forge/pro,a@example.com,,,1\n"
        "dev-forge/pro,a@example.com,,,1\n"  # a second one for the same customer
    )
    assert load(text)[0] == {"made": 4, "there_already": 0, "bad": 0}
    assert load(text)[0] == {"made": 0, "there_already": 4, "bad": 0}
    more = text + "dev-forge/pro,a@example.com,,,1\n"
    assert load(more)[0] == {"made": 1, "there_already": 4, "bad": 0}
    assert count(api) == 5


def test_every_bad_line_is_told_with_its_number_and_the_others_are_made(api, plan, load):
    taken = api.license(plan).key
    lines = [
        ("dev-forge/none,,,,,", "Not exactly one policy is called dev-forge/none"),
        (",a@example.com,,,,", "policy: Missing data"),
        ("dev-forge/pro,nonsense,,,,", "email: Not a valid email address."),
        ("dev-forge/pro,,short,,,", "key: Length must be between 16 and 512."),
        (f"dev-forge/pro,,{taken},,,", "belongs to another licence"),
        ("dev-forge/pro,,,soon,,", "expires_at: Not a valid datetime."),
        ("dev-forge/pro,,,,many,", "max_machines: Not a valid integer."),
        ("dev-forge/pro,,,,0,", "max_machines: Must be greater"),
        ("dev-forge/pro,,,,,,,,", "more cells"),
        ('dev-forge/pro,,,,,"[1]"', "metadata: Not a JSON object."),
        ('dev-forge/pro,,,,,"{""a"": {""b"": ""\\u0000""}}"', "metadata: Not a JSON object."),
        ('dev-forge/pro,,,,,"{""a"": NaN}"', "metadata: Not a JSON object."),
        ("dev-forge/pro,,,9999-12-31,,", "expires_at: Use a year from 1970 to 9990."),
        (f"dev-forge/pro,,{OLD_KEY},,,", None),
        (f"dev-forge/pro,x@example.com,{OLD_KEY},,,", "an earlier line has the same key"),
    ]
    text = "policy,email,key,expires_at,max_machines,metadata\n\n" + "".join(f"{line}\n" for line, _ in lines)
    told, errors = load(text, code=1)
    assert told == {"made": 1, "there_already": 0, "bad": 14}
    shown = errors.splitlines()
    expected = [(number, why) for number, (_, why) in enumerate(lines, start=3) if why]
    assert len(shown) == len(expected)
    for line, (number, why) in zip(shown, expected, strict=True):
        assert line.startswith(f"line {number}: ")
        assert why in line
    assert count(api) == 2


def test_a_corrected_file_makes_what_is_missing(api, plan, load):
    head = "policy,email\n"
    load(head + "dev-forge/pro,a@example.com\ndev-forge/pro,wrong\n", code=1)
    told, _ = load(head + "dev-forge/pro,a@example.com\ndev-forge/pro,b@example.com\n")
    assert told == {"made": 1, "there_already": 1, "bad": 0}


def test_what_is_no_text_is_told_and_the_rest_is_made(api, plan, load):
    head, good = b"\xef\xbb\xbfpolicy,metadata.name\n", b"dev-forge/pro,Zo\xc3\xab\n"
    text = head + b"dev-forge/pro,Zo\xeb\ndev-forge/pro,a\x00b\n" + good
    told, errors = load(text, code=1)
    assert told == {"made": 1, "there_already": 0, "bad": 2}
    assert [line.split(":")[0] for line in errors.splitlines()] == ["line 2", "line 3"]
    assert licenses(api)[0]["metadata"] == {"name": "Zoë"}


@pytest.mark.parametrize(
    "text", ["", "email\na@example.com\n", "policy,nonsense\n", "policy,policy\n", '"policy\n']
)
def test_a_head_that_says_nothing_is_refused_and_nothing_is_made(api, plan, load, text):
    load(text, code=1)
    assert count(api) == 0


def test_a_dry_run_tells_the_same_and_makes_nothing(api, plan, load, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", 2)
    text = f"policy,key\ndev-forge/pro,{OLD_KEY}\ndev-forge/pro,{OLD_KEY}2\ndev-forge/pro,{OLD_KEY}\nnone,\n"
    told, errors = load(text, "--dry-run", code=1)
    assert told == {"would_be_made": 2, "there_already": 0, "bad": 2}
    assert [line.split(":")[0] for line in errors.splitlines()] == ["line 4", "line 5"]
    assert count(api) == 0


def test_an_import_that_is_interrupted_goes_on_where_it_stopped(api, plan, load, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", 3)
    text = "policy,email\n" + "".join(f"dev-forge/pro,p{n}@example.com\n" for n in range(10))
    taken, take = [], bulk.Import.take

    def killed(self, lines, *, now):
        taken.append(len(lines))
        done = take(self, lines, now=now)
        if len(taken) == 3:
            raise KeyboardInterrupt  # before the third batch is committed
        return done

    with monkeypatch.context() as patched:
        patched.setattr(bulk.Import, "take", killed)
        load(text, code=1)
    assert count(api) == 6
    assert load(text)[0] == {"made": 4, "there_already": 6, "bad": 0}


def test_a_file_that_several_import_at_once_makes_each_licence_once(app, api, plan):
    lines = ["policy,reference\n", *(f"dev-forge/pro,order-{n}\n" for n in range(30))]

    def load_all():
        with app.app_context():
            run, made, there = Import(Cause(CauseKind.OPERATOR)), 0, 0
            for batch in bulk._batches(read_lines(lines, delimiter=",")):
                with unit_of_work():
                    done = run.take(batch, now=utc_now())
                assert done.bad == []
                made, there = made + done.made, there + done.there
            return made, there

    answers = at_once([load_all] * 4, workers=4)
    assert sum(made for made, _ in answers) == 30
    assert sum(there for _, there in answers) == 90
    assert count(api) == 30


def test_other_separators_and_references_are_possible(api, plan, load):
    text = "policy;reference\ndev-forge/pro;A\ndev-forge/pro;B\n"
    assert load(text, "--delimiter", ";")[0]["made"] == 2
    load(text, "--delimiter", ";;", code=1)


def test_a_line_costs_the_same_number_of_statements_however_many_there_are(
    api, plan, load, count_queries, monkeypatch
):
    costs = []
    for number in (20, 40):
        text = "policy,reference\n" + "".join(f"dev-forge/pro,{number}-{n}\n" for n in range(number))
        with count_queries() as seen:
            load(text)
        costs.append(len(seen) / number)
    assert costs[1] <= costs[0]


# --- export --------------------------------------------------------------------------------
@pytest.fixture
def save(app, tmp_path):
    def invoke(*options, code=0, name="out.csv"):
        path = tmp_path / name
        done = app.test_cli_runner().invoke(args=["licenses", "export", "--output", str(path), *options])
        assert done.exit_code == code, done.output
        return path

    return invoke


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_export_holds_every_licence_and_keys_only_when_asked(api, plan, save, monkeypatch):
    monkeypatch.setattr("devforge_api.licenses.service.exporting.PAGE", 2)
    owner = api.person(email="ada@example.com")
    issued = [api.license(plan, owner=owner, metadata={"a": "ü"}) for _ in range(5)]
    path = save()
    rows = table(path)
    assert {row["id"] for row in rows} == {str(license_.id) for license_ in issued}
    assert {(row["policy"], row["email"], row["metadata"]) for row in rows} == {
        ("dev-forge/pro", "ada@example.com", '{"a": "ü"}')
    }
    text = path.read_text()
    assert not [license_ for license_ in issued if license_.key in text]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    save(code=1)  # it is there
    assert {row["key"] for row in table(save("--with-keys", "--force"))} == {one.key for one in issued}
    events = api.get("/audit/events?action=license.exported", by=api.admin()).json["data"]
    assert [event["changes"]["with_keys"] for event in events] == [[None, True], [None, False]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_computes_and_comes_back_as_it_was(api, save, load, start):
    api.policy(api.product("dev-forge"), name="pro")
    email = "a@example.com"
    text = f'policy,email,metadata.x\ndev-forge/pro,{email},"\'{start}1+1"\n'
    assert load(text)[0]["made"] == 1
    assert licenses(api)[0]["metadata"] == {"x": f"{start}1+1"}
    for row in table(save()):
        assert not [value for value in row.values() if value.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_an_export_can_be_imported_elsewhere_and_changes_nothing_here(api, plan, save, load, verdict):
    owner = api.person()
    made = [
        api.license(plan, owner=owner, metadata={"n": 1}),
        api.license(plan, max_machines=9),
        api.license(plan, pending=True),
    ]
    admin = api.admin()
    api.post(f"/licenses/{made[1].id}/suspend", by=admin)
    text = save("--with-keys").read_bytes()
    assert load(text)[0] == {"made": 0, "there_already": 3, "bad": 0}
    before = {row["key"]: (row["status"], row["expires_at"], row["user_id"], row["metadata"])
              for row in licenses(api)}  # fmt: skip
    for license_ in made:  # elsewhere: they are not there
        api.delete(f"/licenses/{license_.id}", by=admin)
    assert load(text)[0] == {"made": 3, "there_already": 0, "bad": 0}
    after = {row["key"]: (row["status"], row["expires_at"], row["user_id"], row["metadata"])
             for row in licenses(api)}  # fmt: skip
    assert after == before
    assert load(text)[0] == {"made": 0, "there_already": 3, "bad": 0}
