"""What WSGI servers load: the application from the environment, with its worker thread."""

import os

from devforge_api.app import create_app
from devforge_api.core.worker import WorkerThread

app = create_app()

# The flask CLI finds its application here too; only a server delivers events in the background.
if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
    WorkerThread(app).start()
