"""What `flask worker` and `flask beat` load: Celery's application for the environment's settings."""

from devforge_api.app import create_app
from devforge_api.core.celery_executor import CeleryExecutor, make_celery
from devforge_api.core.outbox import install_executor

flask_app = create_app()
celery = make_celery(flask_app)
install_executor(flask_app, CeleryExecutor(celery))
