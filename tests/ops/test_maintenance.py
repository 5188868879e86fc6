"""Read-only for a while: reads go on, writes are refused, jobs wait, and nothing is lost."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from devforge_api.core import idempotency, jobs, maintenance, outbox
from devforge_api.core.celery_executor import DELIVER, SCHEDULE, SWEEP, make_celery
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.idempotency import IdempotencyKey
from devforge_api.core.jobs import ScheduledJob
from devforge_api.core.maintenance import Maintenance
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from tests.factories import PASSWORD, Api, code_of
from tests.ops.conftest import until

WORDS = "We move to a larger machine; back at ten."
OPERATOR = Occasion(kind="cli", request_id="-")


def switch(app, *, on):
    """What the command does, without waiting for other processes."""
    with app.app_context(), acting(OPERATOR), unit_of_work():
        maintenance.begin(WORDS, 300) if on else maintenance.end()


@pytest.fixture(autouse=True)
def over_in_the_end(app):
    yield
    switch(app, on=False)


@pytest.fixture
def flask(app):
    """Run a command, and give what it printed."""

    def run(*arguments, code=0):
        done = app.test_cli_runner().invoke(args=list(arguments))
        assert done.exit_code == code, done.output
        return done.output

    return run


def events(app):
    """The outbox's rows: how often each was tried, and where it stands."""
    with app.app_context():
        rows = db.session.scalars(select(OutboxRow).order_by(OutboxRow.id))
        return [(row.attempts, row.status.value) for row in rows]


def test_every_kind_of_write_is_refused_with_the_operators_words(api):
    admin, license_ = api.admin(), api.license()
    switch(api.app, on=True)
    account = {"email": "ada@example.com", "password": PASSWORD}
    seat = {"key": license_.key, "fingerprint": "m1"}
    for refused in (
        api.post("/auth/register", account),
        api.post("/auth/login", {"email": admin.email, "password": PASSWORD}),
        api.post("/auth/login", {"email": admin.email, "password": "wrong horse battery"}),
        api.post("/auth/refresh", {"refresh_token": admin.refresh_token}),
        api.post("/licenses/activate", seat),
        api.post("/products", {"name": "Forge", "code": "forge"}, by=admin),
        api.patch(f"/users/{admin.id}", {"name": "Ada"}, by=admin),
        api.put(f"/products/{license_.product_id}", {"name": "Forge", "code": "forge"}, by=admin),
        api.delete(f"/products/{license_.product_id}", by=admin),
    ):
        assert (refused.status_code, code_of(refused)) == (503, "MAINTENANCE")
        assert refused.json["error"]["message"] == WORDS
        assert refused.json["error"]["params"] == {"retry_after": 300}
        assert refused.headers["Retry-After"] == "300"
    switch(api.app, on=False)
    assert api.post("/auth/register", account).status_code == 201
    assert api.post("/licenses/activate", seat).status_code == 201


def test_without_words_of_the_operators_a_general_sentence_is_told(api):
    with api.app.app_context(), acting(OPERATOR), unit_of_work():
        maintenance.begin(None, 1)
    refused = api.post("/auth/register", {"email": "ada@example.com", "password": PASSWORD})
    assert refused.json["error"]["message"] == Maintenance.default_message()


def test_whatever_only_reads_goes_on_by_post_too(api):
    admin, license_ = api.admin(), api.license()
    switch(api.app, on=True)
    assert api.get("/auth/me", by=admin).status_code == 200
    assert api.get("/licenses", by=admin).json["pagination"]["total"] == 1
    assert api.post("/licenses/validate", {"key": license_.key}).json["data"]["code"] == "VALID"
    assert api.get("/audit/events", by=admin).status_code == 200


def test_what_is_wrong_with_a_request_is_told_before(api):
    person = api.person()
    switch(api.app, on=True)
    assert api.post("/products", {}).status_code == 401
    assert api.post("/products", {}, by=person).status_code == 403
    assert api.post("/auth/register", {"email": "nobody"}).status_code == 422


def test_probes_say_so_and_stay_green(api):
    def figure():
        lines = api.client.get("/metrics").text.splitlines()
        return next(line.split()[-1] for line in lines if line.startswith("devforge_maintenance "))

    switch(api.app, on=True)
    ready = api.client.get("/ready")
    assert ready.status_code == 200
    assert ready.json["data"]["maintenance"]["message"] == WORDS
    assert ready.json["data"]["checks"]["jobs"]["detail"] == "paused by maintenance"
    assert figure() == "1.0"
    switch(api.app, on=False)
    assert api.client.get("/ready").json["data"]["maintenance"] is None
    assert figure() == "0.0"


def test_a_refused_request_leaves_its_idempotency_key_free(api):
    admin = api.admin()
    again = {"json": {"name": "Forge", "code": "forge"}, "by": admin, "headers": {"Idempotency-Key": "k1"}}
    switch(api.app, on=True)
    assert code_of(api.post("/products", **again)) == "MAINTENANCE"
    with api.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0
    switch(api.app, on=False)
    made = api.post("/products", **again)
    assert made.status_code == 201
    assert "Idempotent-Replayed" not in made.headers


def test_a_request_that_has_begun_to_write_comes_to_its_end(api, monkeypatch):
    admin = api.admin()
    claim = idempotency._claim

    def claim_and_begin(*arguments):
        claimed = claim(*arguments)
        switch(api.app, on=True)
        return claimed

    monkeypatch.setattr(idempotency, "_claim", claim_and_begin)
    body = {"name": "Forge", "code": "forge"}
    assert api.post("/products", body, by=admin, headers={"Idempotency-Key": "k1"}).status_code == 201
    monkeypatch.undo()
    assert code_of(api.post("/products", {**body, "code": "anvil"}, by=admin)) == "MAINTENANCE"


def test_a_database_that_is_away_is_not_taken_for_maintenance(another_app):
    away = Api(another_app(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none"))
    refused = away.post("/auth/register", {"email": "ada@example.com", "password": PASSWORD})
    assert (refused.status_code, code_of(refused)) == (503, "SERVICE_UNAVAILABLE")


def test_writes_cost_no_further_query_within_the_second(api, count_queries, monkeypatch):
    monkeypatch.setattr(maintenance, "PAUSE_SECONDS", 1000.0)  # longer than any machine takes for this
    monkeypatch.setattr(maintenance, "OLDEST_SECONDS", 1000.0)
    license_ = api.license()
    seat = {"key": license_.key, "fingerprint": "m1"}
    with api.app.app_context():
        api.app.extensions["devforge-maintenance"].forget()
    with count_queries(with_maintenance=True) as seen:
        for _ in range(3):
            assert api.post("/licenses/activate", seat).status_code in {200, 201}
            assert api.post("/licenses/deactivate", seat).status_code == 204
    assert len([one for one in seen if "FROM maintenance" in one]) == 1
    api.app.extensions["devforge-maintenance"].forget()  # what it noted is for the patched clock


def test_knowledge_that_is_too_old_is_not_gone_by_even_while_another_thread_looks(api, another_app):
    """The bound on which `flask maintenance on` rests."""
    other = another_app()
    known = other.extensions["devforge-maintenance"]
    with other.app_context():
        assert not maintenance.current().active
        switch(api.app, on=True)
        as_of, state = known.last
        known._next_look = float("inf")  # another thread has just begun to look, and hangs
        assert not maintenance.current().active
        known.last = (as_of - maintenance.OLDEST_SECONDS, state)
        assert maintenance.current().active


def test_events_wait_without_a_failed_attempt_and_are_delivered_after(api):
    api.person()
    api.person()
    switch(api.app, on=True)
    assert api.deliver() == 0
    found = events(api.app)
    assert len(found) >= 2
    assert set(found) == {(0, "pending")}
    switch(api.app, on=False)
    assert api.deliver() == len(found)
    assert set(events(api.app)) == {(1, "delivered")}


def test_a_batch_that_is_under_way_gives_back_what_it_has_not_tried(api):
    catalogue = api.app.extensions["devforge-events"]
    name = "test.happened"
    api.app.extensions["devforge-events"] = {**catalogue, name: outbox.EventType("A test.", frozenset({"n"}))}
    outbox.on(name)(lambda _: maintenance.begin(WORDS, 300))
    try:
        with api.app.app_context(), acting(OPERATOR), unit_of_work():
            for number in range(4):
                outbox.emit(name, n=number)
        assert api.deliver() == 1
        assert sorted(events(api.app)) == [(0, "pending")] * 3 + [(1, "delivered")]
        for left in (1, 1, 1, 0):  # each of them begins it anew
            switch(api.app, on=False)
            assert api.deliver() == left
        assert events(api.app) == [(1, "delivered")] * 4
    finally:
        outbox._subscribers.pop(name)
        api.app.extensions["devforge-events"] = catalogue


def test_scheduled_jobs_wait_and_run_after(api):
    with api.app.app_context():
        names = jobs.run_due()
        with unit_of_work():
            db.session.execute(update(ScheduledJob).values(next_run_at=utc_now()))
    switch(api.app, on=True)
    with api.app.app_context():
        assert jobs.run_due() == []
        assert {row.last_error for row in db.session.scalars(select(ScheduledJob))} == {None}
    switch(api.app, on=False)
    with api.app.app_context():
        assert jobs.run_due() == names


def test_celerys_tasks_wait_too(api, another_app):
    celery = make_celery(another_app(CELERY_BROKER_URL="redis://127.0.0.1:9/0"))
    api.person()
    with api.app.app_context():
        first = db.session.scalar(select(OutboxRow.id).order_by(OutboxRow.id))
    switch(api.app, on=True)
    for task, arguments in ((DELIVER, (str(first),)), (SWEEP, ("work",)), (SCHEDULE, ())):
        celery.tasks[task](*arguments)
    assert set(events(api.app)) == {(0, "pending")}
    with api.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(ScheduledJob)) == 0
    switch(api.app, on=False)

    def delivered():
        celery.tasks[DELIVER](str(first))
        return events(api.app)[0] == (1, "delivered")

    until(delivered, "the tasks' own application, which looks once a second, does not see the end")


def test_events_that_fell_due_meanwhile_do_not_make_the_server_unready_after(api):
    with api.app.app_context(), acting(OPERATOR), unit_of_work():
        waiting = {"name": "user.created", "subscriber": "nobody", "payload": {}, "request_id": "-"}
        db.session.add(OutboxRow(**waiting, next_attempt_at=utc_now() - timedelta(hours=1)))
    assert api.client.get("/ready").status_code == 503
    for on in (True, False):
        switch(api.app, on=on)
        assert api.client.get("/ready").status_code == 200


def test_the_command_returns_once_every_process_refuses(api, another_app, flask):
    other = Api(another_app())  # a second process, as far as the database can tell
    body = {"email": "ada@example.com", "password": PASSWORD}
    assert other.post("/auth/register", body).status_code == 201  # it has just seen that all is open
    (shown,) = json.loads(flask("maintenance", "on", "--message", WORDS, "--json"))
    assert (shown["active"], shown["message"], shown["retry_after"]) == (True, WORDS, 120)
    assert shown["open_writes"] == (0 if str(api.app.config["DATABASE_URL"]).startswith("p") else None)
    assert code_of(other.post("/auth/register", body)) == "MAINTENANCE"
    assert json.loads(flask("maintenance", "status", "--json")) == [shown]


def test_commands_go_on_writing(api, flask):
    switch(api.app, on=True)
    user_id = flask("users", "create", "ada@example.com").strip()
    assert user_id in flask("users", "list", "--json")
    assert WORDS in flask("maintenance", "status")


def test_beginning_again_changes_the_words_and_ending_twice_is_ending(api, flask, monkeypatch):
    monkeypatch.setattr("devforge_api.ops.cli.maintenance.OLDEST_SECONDS", 0)
    admin = api.admin()
    (first,) = json.loads(flask("maintenance", "on", "--json"))
    (second,) = json.loads(flask("maintenance", "on", "--message", WORDS, "--retry-after", "9", "--json"))
    assert (first["message"], second["message"], second["retry_after"]) == (None, WORDS, 9)
    assert second["since"] == first["since"]
    for _ in range(2):
        assert json.loads(flask("maintenance", "off", "--json"))[0]["active"] is False
    told = api.get("/audit/events?target_type=maintenance&sort=created_at", by=admin).json["data"]
    assert [(event["action"], event["actor_kind"]) for event in told] == [
        ("maintenance.begun", "cli"),
        ("maintenance.changed", "cli"),
        ("maintenance.ended", "cli"),
    ]
    assert told[1]["changes"] == {"message": [None, WORDS], "retry_after": [120, 9]}


def test_words_that_are_too_long_are_refused_in_a_line(api, flask):
    assert "at most 255" in flask("maintenance", "on", "--message", "x" * 256, code=1)
    assert flask("maintenance", "on", "--retry-after", "0", code=2)
    assert json.loads(flask("maintenance", "status", "--json"))[0]["active"] is False


@pytest.mark.production_column("SQLite cannot tell")
def test_transactions_that_have_written_and_are_open_are_counted(api, flask):
    switch(api.app, on=True)
    with api.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(ScheduledJob).values(last_error=None))
        assert json.loads(flask("maintenance", "status", "--json"))[0]["open_writes"] == 0
        connection.execute(select(func.pg_current_xact_id()))
        assert json.loads(flask("maintenance", "status", "--json"))[0]["open_writes"] == 1


def test_all_processes_of_a_server_refuse_wait_and_go_on(api, environ, start_server, flask):
    several = {"WEB_WORKERS": "2"} if "DEVFORGE_REDIS_URL" in environ else {}
    server = start_server(**several)
    license_ = api.license()

    def write(path="/licenses/activate", **body):
        body = {"key": license_.key, "fingerprint": "m1"} | body
        headers = {"Content-Type": "application/json"}
        answer, _ = server.ask(f"/api/v1{path}", method="POST", body=json.dumps(body), headers=headers)
        return answer.status, answer.headers["Retry-After"]

    assert write()[0] == 201
    flask("maintenance", "on")
    flask("users", "create", "ada@example.com")
    flask("maintenance", "on", "--retry-after", "7")  # two seconds, in which the workers look often
    assert {write() for _ in range(20)} == {(503, "7")}
    assert write("/licenses/validate")[0] == 200
    assert server.ask("/ready")[0].status == 200
    waiting = [found for found in events(api.app) if found[1] == "pending"]
    assert len(waiting) >= 1
    assert set(waiting) == {(0, "pending")}
    flask("maintenance", "off")
    until(lambda: write()[0] == 200, "writes are still refused")
    until(lambda: set(events(api.app)) == {(1, OutboxStatus.DELIVERED.value)}, "events are not delivered")
    assert "the worker thread failed" not in server.log.read_text()
