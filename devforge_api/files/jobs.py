"""What is done about files while nobody asks."""

from datetime import timedelta

from devforge_api.core.jobs import scheduled
from devforge_api.core.outbox import emit
from devforge_api.files.service import work


@scheduled("files.unfinished", every=timedelta(seconds=30))
def call_for_unfinished() -> None:
    """Have somebody go on with files whose worker is gone."""
    work.call_for_unfinished()


@scheduled("files.orphans", every=timedelta(days=1))
def collect_orphans() -> None:
    """Have contents removed that no row names."""
    emit("file.orphans_due", after_key="")
