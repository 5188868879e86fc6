"""Celery's application with the crash test's subscriber: what its worker and beat load."""

from devforge_api.celery_app import celery
from tests.core import crash_worker

crash_worker.subscribe()
__all__ = ["celery"]
