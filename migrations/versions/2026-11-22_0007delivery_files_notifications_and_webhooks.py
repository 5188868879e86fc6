"""delivery: files, notifications, feeds and webhooks.

Revision: 0007delivery
Follows: 0006licensing
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007delivery"
down_revision = "0006licensing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "mail_suppressions",
        sa.Column("counted_as", sa.String(length=32), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "bounced",
                "complained",
                "manual",
                name="suppressionreason",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("counted_as", name=op.f("pk_mail_suppressions")),
    )
    op.create_index(op.f("ix_mail_suppressions_created_at"), "mail_suppressions", ["created_at"])

    op.create_table(
        "push_keys",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_push_keys")),
    )
    op.create_table(
        "feed_events",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_feed_events_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_feed_events")),
    )
    op.create_index(op.f("ix_feed_events_created_at"), "feed_events", ["created_at"])

    op.create_table(
        "feeds",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_feeds_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_feeds")),
    )
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum(
                "attachment", "avatar", name="purpose", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "scanned",
                "available",
                "quarantined",
                name="filestatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("media_type", sa.String(length=127), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("counted_size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("storage_key", sa.String(length=80), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_files_user_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("storage_key", name=op.f("uq_files_storage_key")),
    )
    op.create_index(op.f("ix_files_status_due_at"), "files", ["status", "due_at"])
    op.create_index(op.f("ix_files_user_id_created_at"), "files", ["user_id", "created_at", "id"])
    op.create_index(
        op.f("ix_files_user_id_media_type_created_at"), "files", ["user_id", "media_type", "created_at", "id"]
    )
    op.create_index(
        op.f("ix_files_user_id_purpose_created_at"), "files", ["user_id", "purpose", "created_at", "id"]
    )
    op.create_index(op.f("ix_files_user_id_size"), "files", ["user_id", "size", "id"])
    op.create_index(
        op.f("ix_files_user_id_status_created_at"), "files", ["user_id", "status", "created_at", "id"]
    )

    op.create_table(
        "notification_preferences",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "account",
                "licenses",
                "billing",
                "releases",
                "files",
                "webhooks",
                name="preference_kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "channel",
            sa.Enum(
                "in_app", "mail", "push", name="channel", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notification_preferences_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "kind", "channel", name=op.f("pk_notification_preferences")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "account",
                "licenses",
                "billing",
                "releases",
                "files",
                "webhooks",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("in_app", sa.Boolean(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notifications_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index(op.f("ix_notifications_created_at"), "notifications", ["created_at"])
    op.create_index(
        op.f("ix_notifications_user_id_created_at"), "notifications", ["user_id", "created_at", "id"]
    )
    op.create_index(
        op.f("ix_notifications_user_id_event"), "notifications", ["user_id", "event", "created_at", "id"]
    )
    op.create_index(
        op.f("ix_notifications_user_id_kind"), "notifications", ["user_id", "kind", "created_at", "id"]
    )
    op.create_index(
        op.f("ix_notifications_user_id_read_at"), "notifications", ["user_id", "read_at", "created_at", "id"]
    )

    op.create_table(
        "push_subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_hash", sa.String(length=64), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.String(length=255), nullable=True),
        sa.Column("last_delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_push_subscriptions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscriptions")),
        sa.UniqueConstraint("endpoint_hash", name=op.f("uq_push_subscriptions_endpoint_hash")),
    )
    op.create_index(
        op.f("ix_push_subscriptions_user_id_created_at"),
        "push_subscriptions",
        ["user_id", "created_at", "id"],
    )

    op.create_table(
        "realtime_tickets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("token_id", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_realtime_tickets_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_realtime_tickets")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_realtime_tickets_token_hash")),
    )
    op.create_index(op.f("ix_realtime_tickets_expires_at"), "realtime_tickets", ["expires_at"])
    op.create_index(op.f("ix_realtime_tickets_user_id"), "realtime_tickets", ["user_id"])

    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column(
            "audience",
            sa.Enum(
                "own", "everybody", name="audience", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "enabled",
                "disabled",
                name="endpointstatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "disabled_reason",
            sa.Enum(
                "owner",
                "operator",
                "gone",
                "failing",
                name="disabledreason",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("timeouts", sa.Integer(), nullable=False),
        sa.Column("resting_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("busy_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_webhook_endpoints_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index(op.f("ix_webhook_endpoints_status_audience"), "webhook_endpoints", ["status", "audience"])
    op.create_index(
        op.f("ix_webhook_endpoints_user_id_created_at"), "webhook_endpoints", ["user_id", "created_at", "id"]
    )

    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_webhook_messages_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_messages")),
    )
    op.create_index(op.f("ix_webhook_messages_created_at"), "webhook_messages", ["created_at"])
    op.create_index(op.f("ix_webhook_messages_user_id"), "webhook_messages", ["user_id"])

    op.create_table(
        "file_variants",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("media_type", sa.String(length=127), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("storage_key", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name=op.f("fk_file_variants_file_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "name", name=op.f("pk_file_variants")),
        sa.UniqueConstraint("storage_key", name=op.f("uq_file_variants_storage_key")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "delivered",
                "failed",
                name="deliverystatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("of_others", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=255), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("fk_webhook_deliveries_endpoint_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["webhook_messages.id"],
            name=op.f("fk_webhook_deliveries_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint(
            "endpoint_id", "message_id", name=op.f("uq_webhook_deliveries_endpoint_id_message_id")
        ),
    )
    op.create_index(op.f("ix_webhook_deliveries_created_at"), "webhook_deliveries", ["created_at"])
    op.create_index(
        op.f("ix_webhook_deliveries_endpoint_id_created_at"),
        "webhook_deliveries",
        ["endpoint_id", "created_at", "id"],
    )
    op.create_index(
        op.f("ix_webhook_deliveries_endpoint_id_event"),
        "webhook_deliveries",
        ["endpoint_id", "event", "created_at", "id"],
    )
    op.create_index(
        op.f("ix_webhook_deliveries_endpoint_id_status"),
        "webhook_deliveries",
        ["endpoint_id", "status", "created_at", "id"],
    )
    op.create_index(op.f("ix_webhook_deliveries_message_id"), "webhook_deliveries", ["message_id"])
    op.create_index(
        op.f("ix_webhook_deliveries_status_next_attempt_at"),
        "webhook_deliveries",
        ["status", "next_attempt_at"],
    )

    op.create_table(
        "webhook_filters",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("fk_webhook_filters_endpoint_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "event", name=op.f("pk_webhook_filters")),
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=255), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["webhook_deliveries.id"],
            name=op.f("fk_webhook_attempts_delivery_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_attempts")),
    )
    op.create_index(op.f("ix_webhook_attempts_delivery_id"), "webhook_attempts", ["delivery_id", "id"])

    op.add_column("mails", sa.Column("suppressed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("mails", "suppressed_at")

    op.drop_index(op.f("ix_webhook_attempts_delivery_id"), "webhook_attempts")

    op.drop_table("webhook_attempts")
    op.drop_table("webhook_filters")
    op.drop_index(op.f("ix_webhook_deliveries_status_next_attempt_at"), "webhook_deliveries")
    op.drop_index(op.f("ix_webhook_deliveries_message_id"), "webhook_deliveries")
    op.drop_index(op.f("ix_webhook_deliveries_endpoint_id_status"), "webhook_deliveries")
    op.drop_index(op.f("ix_webhook_deliveries_endpoint_id_event"), "webhook_deliveries")
    op.drop_index(op.f("ix_webhook_deliveries_endpoint_id_created_at"), "webhook_deliveries")
    op.drop_index(op.f("ix_webhook_deliveries_created_at"), "webhook_deliveries")

    op.drop_table("webhook_deliveries")
    op.drop_table("file_variants")
    op.drop_index(op.f("ix_webhook_messages_user_id"), "webhook_messages")
    op.drop_index(op.f("ix_webhook_messages_created_at"), "webhook_messages")

    op.drop_table("webhook_messages")
    op.drop_index(op.f("ix_webhook_endpoints_user_id_created_at"), "webhook_endpoints")
    op.drop_index(op.f("ix_webhook_endpoints_status_audience"), "webhook_endpoints")

    op.drop_table("webhook_endpoints")
    op.drop_index(op.f("ix_realtime_tickets_user_id"), "realtime_tickets")
    op.drop_index(op.f("ix_realtime_tickets_expires_at"), "realtime_tickets")

    op.drop_table("realtime_tickets")
    op.drop_index(op.f("ix_push_subscriptions_user_id_created_at"), "push_subscriptions")

    op.drop_table("push_subscriptions")
    op.drop_index(op.f("ix_notifications_user_id_read_at"), "notifications")
    op.drop_index(op.f("ix_notifications_user_id_kind"), "notifications")
    op.drop_index(op.f("ix_notifications_user_id_event"), "notifications")
    op.drop_index(op.f("ix_notifications_user_id_created_at"), "notifications")
    op.drop_index(op.f("ix_notifications_created_at"), "notifications")

    op.drop_table("notifications")
    op.drop_table("notification_preferences")
    op.drop_index(op.f("ix_files_user_id_status_created_at"), "files")
    op.drop_index(op.f("ix_files_user_id_size"), "files")
    op.drop_index(op.f("ix_files_user_id_purpose_created_at"), "files")
    op.drop_index(op.f("ix_files_user_id_media_type_created_at"), "files")
    op.drop_index(op.f("ix_files_user_id_created_at"), "files")
    op.drop_index(op.f("ix_files_status_due_at"), "files")

    op.drop_table("files")
    op.drop_table("feeds")
    op.drop_index(op.f("ix_feed_events_created_at"), "feed_events")

    op.drop_table("feed_events")
    op.drop_table("push_keys")
    op.drop_index(op.f("ix_mail_suppressions_created_at"), "mail_suppressions")

    op.drop_table("mail_suppressions")
