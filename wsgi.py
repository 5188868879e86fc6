"""What WSGI servers load: the application from the environment, with its executor."""

import os
import sys

from config import SettingsError
from devforge_api.app import create_app
from devforge_api.core.executors import start_executor
from devforge_api.core.flushing import start_flushing
from devforge_api.core.uploads import reading_routes
from devforge_api.ops.buffering import BufferedBodies
from devforge_api.ops.cli.doctor import report_refused
from devforge_api.ops.processes import end_with_parent, give_memory_back

try:
    app = create_app()
except Exception as error:
    report_refused(error, sys.argv)  # `flask doctor` tells of it in its own form, and ends here
    if isinstance(error, SettingsError):
        sys.exit(f"Error: {error}")  # a sentence that says what to change, not a traceback
    raise
app.wsgi_app = BufferedBodies(  # type: ignore[method-assign]
    app.wsgi_app,
    slots=app.config["WEB_THREADS"],
    limit=app.config["MAX_BODY_BYTES"],
    unread=reading_routes(app),
)

# The flask CLI finds its application here too; only a server delivers events in the background.
if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
    give_memory_back()
    end_with_parent()
    start_executor(app)
    start_flushing(app)
