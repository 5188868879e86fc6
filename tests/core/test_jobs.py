from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from devforge_api.core import jobs
from devforge_api.core.clock import utc_now
from devforge_api.core.context import occasion
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.jobs import ScheduledJob
from devforge_api.licenses.models import Product

NAME = "test.job"
pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def schedule():
    """Put a function of the test's on the schedule, alone."""
    kept = dict(jobs._jobs)
    jobs._jobs.clear()
    yield jobs.scheduled(NAME, every=timedelta(hours=1))
    jobs._jobs.clear()
    jobs._jobs.update(kept)


def entry():
    db.session.remove()
    return db.session.get(ScheduledJob, NAME)


def make_due():
    with unit_of_work():
        db.session.execute(update(ScheduledJob).values(next_run_at=utc_now()))


def test_a_job_runs_at_once_and_then_when_its_time_has_come(schedule):
    runs = []
    schedule(lambda: runs.append((occasion().kind, occasion().request_id)))
    assert jobs.run_due() == [NAME]
    assert jobs.run_due() == []
    assert entry().next_run_at - entry().last_run_at == timedelta(hours=1)
    make_due()
    assert jobs.run_due() == [NAME]
    assert runs == [("job", f"job-{NAME}")] * 2


def test_a_job_commits_what_it_does(schedule):
    schedule(lambda: db.session.add(Product(name="Forge", code="forge")))
    jobs.run_due()
    db.session.remove()
    assert db.session.scalar(select(Product.code)) == "forge"


def test_a_failing_job_is_rolled_back_noted_and_run_again(schedule):
    broken = [True]

    @schedule
    def job():
        db.session.add(Product(name="Forge", code="forge"))
        db.session.flush()
        if broken[0]:
            raise RuntimeError("the disk is full")

    assert jobs.run_due() == [NAME]
    assert db.session.scalar(select(Product.id)) is None
    assert entry().last_error == "RuntimeError: the disk is full"
    broken[0] = False
    make_due()
    jobs.run_due()
    assert entry().last_error is None


@pytest.mark.parametrize("known", [False, True])
def test_many_processes_run_a_due_job_once(app, schedule, known):
    runs = []
    schedule(lambda: runs.append(1))
    if known:
        jobs.run_due()
        make_due()
        runs.clear()

    def work(_):
        with app.app_context():
            return jobs.run_due()

    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(work, range(16)))
    assert runs == [1]
    assert sorted(names)[-1] == [NAME]


def test_the_schedule_purges_what_is_no_longer_needed(app):
    assert {
        "auth.sessions.purge",
        "core.idempotency.purge",
        "ops.outbox.purge",
    } <= set(jobs.run_due())
    assert [job.last_error for job in db.session.scalars(select(ScheduledJob))] == [None] * len(jobs._jobs)
