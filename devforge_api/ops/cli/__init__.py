"""The operator's commands."""

from devforge_api.ops.cli.doctor import doctor
from devforge_api.ops.cli.keys import keys_cli
from devforge_api.ops.cli.mail import mail_cli
from devforge_api.ops.cli.maintenance import maintenance_cli
from devforge_api.ops.cli.outbox import outbox_cli
from devforge_api.ops.cli.server import beat, realtime, serve, start, worker
from devforge_api.ops.cli.settings import settings

OPS_COMMANDS = (
    serve, realtime, start, worker, beat, settings, doctor, maintenance_cli, keys_cli, outbox_cli, mail_cli,
)  # fmt: skip
