"""The schedule: named jobs with an interval, each run by one process at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import Text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import Model, affected, db, unit_of_work
from devforge_api.core.maintenance import Maintenance


class ScheduledJob(Model):
    """When a job is due next, and how it went last."""

    __tablename__ = "scheduled_jobs"

    name: Mapped[str] = mapped_column(primary_key=True)
    next_run_at: Mapped[datetime]
    last_run_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)


@dataclass(frozen=True, slots=True)
class Job:
    """A function that runs in a unit of work, every so often."""

    name: str
    every: timedelta
    run: Callable[[], Any]


_jobs: dict[str, Job] = {}


def scheduled(name: str, every: timedelta) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Run a function on the schedule; it is called inside a unit of work."""

    def register(run: Callable[[], Any]) -> Callable[[], Any]:
        _jobs[name] = Job(name, every, run)
        return run

    return register


def run_due() -> list[str]:
    """Run what is due, each claimed by a conditional update; in maintenance, nothing. Returns the names."""
    done = []
    for job in _jobs.values():
        with acting(Occasion(kind="job", request_id=f"job-{job.name}")), suppress(Maintenance):
            if _claim(job):
                _run(job)
                done.append(job.name)
    return done


def _claim(job: Job) -> bool:
    now = utc_now()
    take = (
        update(ScheduledJob)
        .where(ScheduledJob.name == job.name, ScheduledJob.next_run_at <= now)
        .values(next_run_at=now + job.every, last_run_at=now)
    )
    row = db.session.get(ScheduledJob, job.name)
    db.session.remove()
    if row is not None and row.next_run_at > now:
        return False
    try:
        with unit_of_work():
            if row is None:
                db.session.add(ScheduledJob(name=job.name, next_run_at=now + job.every, last_run_at=now))
                return True
            return affected(take) == 1
    except IntegrityError:
        return False  # another process entered it first


def _run(job: Job) -> None:
    error = None
    try:
        with unit_of_work():
            job.run()
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"[:2000]
        current_app.logger.exception("a scheduled job failed", extra={"job": job.name})
    with unit_of_work():
        db.session.execute(update(ScheduledJob).where(ScheduledJob.name == job.name).values(last_error=error))
