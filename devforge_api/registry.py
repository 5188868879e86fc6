"""The one list of domains, and what they install into the core.

Importing a domain's subscribers and jobs, and commands in files of their own, registers them.
"""

from __future__ import annotations

import click
from flask import Flask

import devforge_api.auth.jobs
import devforge_api.auth.news
import devforge_api.auth.routes.oauth_pages
import devforge_api.auth.routes.well_known
import devforge_api.auth.subscribers
import devforge_api.billing.jobs
import devforge_api.billing.news
import devforge_api.billing.routes.test_pages
import devforge_api.billing.subscribers
import devforge_api.core.mail.delivery
import devforge_api.core.mail.suppression
import devforge_api.core.realtime.feed
import devforge_api.files.jobs
import devforge_api.files.news
import devforge_api.files.subscribers
import devforge_api.licenses.jobs
import devforge_api.licenses.news
import devforge_api.licenses.subscribers
import devforge_api.notifications.jobs
import devforge_api.notifications.subscribers
import devforge_api.ops.jobs
import devforge_api.releases.news
import devforge_api.users.news
import devforge_api.webhooks.jobs
import devforge_api.webhooks.news
import devforge_api.webhooks.subscribers  # noqa: F401
from devforge_api.audit.routes import blp as audit_blueprint
from devforge_api.audit.service import AUDIT_DATA
from devforge_api.auth import providers, tokens
from devforge_api.auth.cli import auth_cli, tokens_cli
from devforge_api.auth.models import OneTimeToken, TotpFactor
from devforge_api.auth.routes import blp as auth_blueprint
from devforge_api.auth.routes.browser import browser as browser_blueprint
from devforge_api.auth.routes.oauth import oauth as oauth_blueprint
from devforge_api.auth.routes.pages import pages as pages_blueprint
from devforge_api.auth.service import verification
from devforge_api.auth.service.personal_data import SIGN_IN_DATA
from devforge_api.billing import providers as payment_providers
from devforge_api.billing.cli import billing_cli
from devforge_api.billing.models import ProviderEvent
from devforge_api.billing.routes import blp as billing_blueprint
from devforge_api.billing.routes.pages import billing_pages
from devforge_api.billing.service.personal_data import BILLING_DATA
from devforge_api.core import encryption, maintenance, news, outbox, personal_data, security
from devforge_api.core.api import Api, Blueprint
from devforge_api.core.idempotency import REQUEST_DATA, IdempotencyKey
from devforge_api.core.keys import SigningKey
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.mail.personal_data import MAIL_DATA
from devforge_api.events import EVENTS
from devforge_api.files.cli import files_cli
from devforge_api.files.routes import avatar_blp as avatar_blueprint
from devforge_api.files.routes import blp as files_blueprint
from devforge_api.files.service.personal_data import FILES_DATA
from devforge_api.licenses.cli import licenses_cli
from devforge_api.licenses.models import License
from devforge_api.licenses.routes import blp as licenses_blueprint
from devforge_api.licenses.routes.offline import well_known as license_keys_blueprint
from devforge_api.licenses.service.personal_data import LICENSE_DATA
from devforge_api.notifications.models import PushKey, PushSubscription
from devforge_api.notifications.routes import blp as notifications_blueprint
from devforge_api.notifications.routes import realtime
from devforge_api.notifications.routes.pages import notification_pages
from devforge_api.notifications.service.personal_data import NOTIFICATION_DATA
from devforge_api.ops.cli import OPS_COMMANDS
from devforge_api.ops.demo import demo_cli
from devforge_api.ops.routes import blp as ops_blueprint
from devforge_api.ops.routes import docs as docs_blueprint
from devforge_api.releases.cli import releases_cli
from devforge_api.releases.routes import blp as releases_blueprint
from devforge_api.users.cli import users_cli
from devforge_api.users.routes import blp as users_blueprint
from devforge_api.users.service import ACCOUNT_DATA
from devforge_api.webhooks.cli import webhooks_cli
from devforge_api.webhooks.models import WebhookEndpoint
from devforge_api.webhooks.routes import blp as webhooks_blueprint
from devforge_api.webhooks.service.personal_data import WEBHOOK_DATA

BLUEPRINTS: tuple[Blueprint, ...] = (
    auth_blueprint,
    users_blueprint,
    files_blueprint,
    avatar_blueprint,
    releases_blueprint,
    licenses_blueprint,
    billing_blueprint,
    notifications_blueprint,
    realtime.realtime,
    webhooks_blueprint,
    audit_blueprint,
    ops_blueprint,
)
COMMANDS: tuple[click.Command, ...] = (
    users_cli,
    auth_cli,
    tokens_cli,
    releases_cli,
    licenses_cli,
    billing_cli,
    webhooks_cli,
    files_cli,
    demo_cli,
    *OPS_COMMANDS,
)


# What `flask keys reencrypt` brings under a new master key.
ENCRYPTED = (
    SigningKey.private_key,
    License.encrypted_key,
    IdempotencyKey.answer,
    IdempotencyKey.request_hash,
    Mail.params,
    OneTimeToken.data,
    TotpFactor.secret,
    ProviderEvent.payload,
    PushKey.private_key,
    PushSubscription.endpoint,
    PushSubscription.keys,
    WebhookEndpoint.secret,
    WebhookEndpoint.previous_secret,
)

# What is known of a person, in the order in which it is erased; the user's own row is the last.
PERSONAL_DATA = (
    WEBHOOK_DATA,
    BILLING_DATA,  # before licences: an order is locked before they are
    LICENSE_DATA,
    NOTIFICATION_DATA,
    FILES_DATA,
    SIGN_IN_DATA,
    MAIL_DATA,
    REQUEST_DATA,
    AUDIT_DATA,
    ACCOUNT_DATA,
)
# Tables that hold nothing personal, and why.
NOT_PERSONAL = {
    "outbox": "ids, and addresses encrypted; a delivered event is forgotten after a week",
    "scheduled_jobs": "names of jobs",
    "maintenance": "the service's own state",
    "signing_keys": "the service's own keys",
    "push_keys": "the service's own key",
    "products": "what is sold",
    "policies": "what is sold",
    "entitlements": "what is sold",
    "policy_entitlements": "what is sold",
    "releases": "what is sold",
    "prices": "what is sold",
    "price_references": "what is sold",
    "license_usage_requests": "names that apps gave to requests, for a day",
    "license_revocations": "ids of licences, which outlive their owners",
}


def register(app: Flask, api: Api) -> None:
    """Connect every domain to the application."""
    tokens.init_app(app)
    providers.init_app(app)
    payment_providers.init_app(app)
    security.install_authority(app, verification)
    realtime.init_app(app)
    news.connect()
    outbox.init_app(app, EVENTS)
    maintenance.init_app(app)
    encryption.install_columns(app, ENCRYPTED)
    personal_data.install(app, PERSONAL_DATA)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.register_blueprint(docs_blueprint)
    app.register_blueprint(pages_blueprint)
    app.register_blueprint(oauth_blueprint)
    app.register_blueprint(browser_blueprint)
    app.register_blueprint(license_keys_blueprint)
    app.register_blueprint(billing_pages)
    app.register_blueprint(notification_pages)
    app.register_blueprint(realtime.windows)
    for command in COMMANDS:
        app.cli.add_command(command)
