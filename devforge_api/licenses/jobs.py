"""What is done about licences while nobody asks."""

from devforge_api.core.db import unit_of_work
from devforge_api.core.flushing import flushed
from devforge_api.licenses.service import last_seen


@flushed
def write_validations() -> None:
    """Write when licences were validated."""
    while True:
        with last_seen.batch() as noted:
            if noted:
                with unit_of_work():
                    last_seen.write(noted)
        if len(noted) < last_seen.BATCH:
            return
