"""mail, one-time tokens, second factors, identities, tokens for tools.

Revision: 0003auth
Follows: 0002maintenance
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003auth"
down_revision = "0002maintenance"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.String(length=800), nullable=False),
        sa.Column("counted_as", sa.String(length=32), nullable=False),
        sa.Column("letter", sa.String(length=64), nullable=False),
        sa.Column("locale", sa.String(length=35), nullable=True),
        sa.Column("params", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
    )
    op.create_index("ix_mails_created_at", "mails", ["created_at"], unique=False)
    op.create_index("ix_mails_recipient_created_at", "mails", ["recipient", "created_at"], unique=False)
    op.create_index("ix_mails_counted_as_created_at", "mails", ["counted_as", "created_at"], unique=False)
    op.create_table(
        "device_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=255), nullable=False),
        sa.Column("device_code_hash", sa.String(length=64), nullable=False),
        sa.Column("user_code", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("address", sa.String(length=255), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "approved",
                "denied",
                "consumed",
                name="grantstatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_device_grants_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_device_grants_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_grants")),
        sa.UniqueConstraint("device_code_hash", name=op.f("uq_device_grants_device_code_hash")),
        sa.UniqueConstraint("user_code", name=op.f("uq_device_grants_user_code")),
    )
    op.create_index("ix_device_grants_expires_at", "device_grants", ["expires_at"], unique=False)
    op.create_index("ix_device_grants_session_id", "device_grants", ["session_id"], unique=False)
    op.create_index("ix_device_grants_user_id", "device_grants", ["user_id"], unique=False)
    op.create_table(
        "identities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_identities_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("provider", "subject", name=op.f("uq_identities_provider_subject")),
    )
    op.create_index(
        "ix_identities_user_id_created_at", "identities", ["user_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "one_time_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum(
                "verify_email",
                "reset_password",
                "change_email",
                "second_factor",
                "provider_state",
                "provider_result",
                "authorization_code",
                name="purpose",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_one_time_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_time_tokens_token_hash")),
    )
    op.create_index("ix_one_time_tokens_expires_at", "one_time_tokens", ["expires_at"], unique=False)
    op.create_index(
        "ix_one_time_tokens_user_id_purpose", "one_time_tokens", ["user_id", "purpose"], unique=False
    )
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
        sa.UniqueConstraint("user_id", "code_hash", name=op.f("uq_recovery_codes_user_id_code_hash")),
    )
    op.create_table(
        "service_accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_service_accounts_owner_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_accounts")),
    )
    op.create_index(
        "ix_service_accounts_owner_id_created_at",
        "service_accounts",
        ["owner_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "totp_factors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_totp_factors_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_totp_factors")),
        sa.UniqueConstraint("user_id", name=op.f("uq_totp_factors_user_id")),
    )
    op.create_table(
        "personal_access_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("service_account_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_account_id"],
            ["service_accounts.id"],
            name=op.f("fk_personal_access_tokens_service_account_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_personal_access_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_access_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_personal_access_tokens_token_hash")),
    )
    op.create_index(
        "ix_personal_access_tokens_expires_at", "personal_access_tokens", ["expires_at"], unique=False
    )
    op.create_index(
        "ix_personal_access_tokens_service_account_id",
        "personal_access_tokens",
        ["service_account_id"],
        unique=False,
    )
    op.create_index(
        "ix_personal_access_tokens_user_id_created_at",
        "personal_access_tokens",
        ["user_id", "created_at", "id"],
        unique=False,
    )
    op.add_column("audit_events", sa.Column("token_id", sa.Uuid(), nullable=True))
    op.add_column("sessions", sa.Column("client_id", sa.String(length=255), nullable=True))
    op.add_column("sessions", sa.Column("cookie_hash", sa.String(length=64), nullable=True))
    op.add_column("sessions", sa.Column("reauthenticated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sessions", sa.Column("network", sa.String(length=45), nullable=True))
    op.create_index("ix_sessions_cookie_hash", "sessions", ["cookie_hash"], unique=True)
    op.create_index(
        "ix_sessions_user_id_network_created_at",
        "sessions",
        ["user_id", "network", "created_at"],
        unique=False,
    )
    op.add_column("users", sa.Column("locale", sa.String(length=35), nullable=True))
    op.add_column("users", sa.Column("terms_version", sa.String(length=64), nullable=True))
    op.add_column("users", sa.Column("terms_accepted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("users", sa.Column("unlocked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_users_name_id", "users", ["name", "id"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_users_name_id", table_name="users")
    op.drop_column("users", "unlocked_at")
    op.drop_column("users", "terms_accepted_at")
    op.drop_column("users", "terms_version")
    op.drop_column("users", "locale")
    op.drop_index("ix_sessions_user_id_network_created_at", table_name="sessions")
    op.drop_index("ix_sessions_cookie_hash", table_name="sessions")
    op.drop_column("sessions", "network")
    op.drop_column("sessions", "reauthenticated_at")
    op.drop_column("sessions", "cookie_hash")
    op.drop_column("sessions", "client_id")
    op.drop_column("audit_events", "token_id")
    op.drop_index("ix_personal_access_tokens_user_id_created_at", table_name="personal_access_tokens")
    op.drop_index("ix_personal_access_tokens_service_account_id", table_name="personal_access_tokens")
    op.drop_index("ix_personal_access_tokens_expires_at", table_name="personal_access_tokens")
    op.drop_table("personal_access_tokens")
    op.drop_table("totp_factors")
    op.drop_index("ix_service_accounts_owner_id_created_at", table_name="service_accounts")
    op.drop_table("service_accounts")
    op.drop_table("recovery_codes")
    op.drop_index("ix_one_time_tokens_user_id_purpose", table_name="one_time_tokens")
    op.drop_index("ix_one_time_tokens_expires_at", table_name="one_time_tokens")
    op.drop_table("one_time_tokens")
    op.drop_index("ix_identities_user_id_created_at", table_name="identities")
    op.drop_table("identities")
    op.drop_index("ix_device_grants_user_id", table_name="device_grants")
    op.drop_index("ix_device_grants_session_id", table_name="device_grants")
    op.drop_index("ix_device_grants_expires_at", table_name="device_grants")
    op.drop_table("device_grants")
    op.drop_index("ix_mails_counted_as_created_at", table_name="mails")
    op.drop_index("ix_mails_recipient_created_at", table_name="mails")
    op.drop_index("ix_mails_created_at", table_name="mails")
    op.drop_table("mails")
