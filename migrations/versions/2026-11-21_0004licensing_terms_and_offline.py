"""licensing: terms, overrides, heartbeats, releases, ledger, revocations.

Revision: 0004licensing
Follows: 0003auth
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004licensing"
down_revision = "0003auth"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
# Columns with a default of the database's own: while the new code is rolled out, the old one still
# writes rows.
Column = tuple[str, sa.types.TypeEngine[object], object]
LICENSE_COLUMNS: tuple[Column, ...] = (
    ("max_machines", sa.Integer(), None),
    ("max_cores", sa.Integer(), None),
    ("max_users", sa.Integer(), None),
    ("max_uses", sa.Integer(), None),
    ("entitlement_count", sa.Integer(), "0"),
    ("first_validated_at", MOMENT, None),
    ("last_validated_at", MOMENT, None),
    ("check_in_due_at", MOMENT, None),
    ("takeover_allowed_at", MOMENT, None),
    ("expiry_told_at", MOMENT, None),
    ("imported_as", sa.String(length=255), None),
)
UNTOLD_EXPIRY = sa.text("expires_at IS NOT NULL AND (expiry_told_at IS NULL OR expiry_told_at <> expires_at)")
COUNTS = ("core_count", "user_count", "uses")  # never below zero
MACHINE_COLUMNS: tuple[Column, ...] = (
    ("unique_within", sa.Uuid(), None),
    ("cores", sa.Integer(), None),
    ("last_heartbeat_at", MOMENT, None),
    ("heartbeat_due_at", MOMENT, None),
    ("died_at", MOMENT, None),
    ("last_seen_at", MOMENT, None),
    ("lease_counter", sa.BigInteger(), "0"),
)
POLICY_COLUMNS: tuple[Column, ...] = (
    ("max_cores", sa.Integer(), None),
    ("max_users", sa.Integer(), None),
    ("max_uses", sa.Integer(), None),
    ("duration_months", sa.Integer(), None),
    ("check_in_days", sa.Integer(), None),
    ("require_heartbeat", sa.Boolean(), sa.false()),
    ("heartbeat_seconds", sa.Integer(), "600"),
    ("required_scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), "[]"),
    ("trial", sa.Boolean(), sa.false()),
    ("lease_seconds", sa.Integer(), "2592000"),
    ("offline_grace_seconds", sa.Integer(), "604800"),
)
POLICY_CHOICES = (
    ("overage", "overage", ("none", "1.25x", "1.5x", "2x", "always")),
    ("expiry_strategy", "expirystrategy", ("restrict", "revoke", "maintain", "allow")),
    (
        "expiry_basis",
        "expirybasis",
        ("from_creation", "from_first_validation", "from_first_activation"),
    ),
    ("renewal_basis", "renewalbasis", ("from_now_if_expired", "from_expiry", "from_now")),
    ("transfer_strategy", "transferstrategy", ("keep_expiry", "reset_expiry")),
    ("heartbeat_basis", "heartbeatbasis", ("from_first_ping", "from_creation")),
    ("cull_strategy", "cullstrategy", ("deactivate", "keep")),
    ("fingerprint_uniqueness", "uniqueness", ("license", "policy", "product", "everywhere")),
    ("fingerprint_matching", "fingerprint_matching", ("any", "two", "most", "all")),
    ("component_matching", "component_matching", ("most", "any", "two", "all")),
    ("key_scheme", "keyscheme", ("random", "signed")),
)
LICENSE_INDEXES = (
    ("ix_licenses_created_at_id", ["created_at", "id"]),
    ("ix_licenses_expires_at_id", ["expires_at", "id"]),
    ("ix_licenses_policy_id_created_at", ["policy_id", "created_at", "id"]),
    ("ix_licenses_product_id_created_at", ["product_id", "created_at", "id"]),
    ("ix_licenses_status_created_at", ["status", "created_at", "id"]),
    ("ix_licenses_user_id_created_at", ["user_id", "created_at", "id"]),
    ("ix_licenses_waiting_email_key", ["waiting_email_key"]),
)
LICENSE_TABLE = (
    "id, policy_id, product_id, user_id, waiting_email_key, key_hash, encrypted_key, status, expires_at,"
    " machine_count, metadata, version, created_at, updated_at"
)
OLD_STATUSES, NEW_STATUSES = ("active", "suspended", "revoked"), ("pending", "active", "suspended", "revoked")
OLD_PURPOSES, NEW_PURPOSES = ("tokens",), ("tokens", "licenses")


# Not every column with a default must be filled.
NULLABLE_WITH_DEFAULT = (("revival_seconds", "0"), ("takeover_cooldown_seconds", "86400"))
ADDITIONS = (
    ("licenses", LICENSE_COLUMNS),
    ("machines", MACHINE_COLUMNS),
    ("policies", POLICY_COLUMNS),
)


def upgrade() -> None:
    """Apply."""
    _set_purposes(NEW_PURPOSES)
    _set_statuses(NEW_STATUSES)
    for table, columns in ADDITIONS:
        for name, kind, default in columns:
            op.add_column(table, sa.Column(name, kind, nullable=default is None, server_default=default))
    for name, default in NULLABLE_WITH_DEFAULT:
        op.add_column("policies", sa.Column(name, sa.Integer(), nullable=True, server_default=default))
    for name in COUNTS:
        op.execute(
            f"ALTER TABLE licenses ADD COLUMN {name} INTEGER DEFAULT 0 NOT NULL"
            f" CONSTRAINT ck_licenses_{name}_not_negative CHECK ({name} >= 0)"
        )
    for name, check, values in POLICY_CHOICES:
        op.execute(
            f"ALTER TABLE policies ADD COLUMN {name} VARCHAR(32) DEFAULT '{values[0]}' NOT NULL"
            f" CONSTRAINT ck_policies_{check} CHECK ({name} IN ({_listed(values)}))"
        )
    # What has expired before is not told of now.
    op.execute("UPDATE licenses SET expiry_told_at = expires_at WHERE expires_at <= CURRENT_TIMESTAMP")
    op.create_index("ix_licenses_imported_as", "licenses", ["imported_as"], unique=True)
    op.create_index(
        "ix_licenses_untold_expiry",
        "licenses",
        ["expires_at"],
        postgresql_where=UNTOLD_EXPIRY,
        sqlite_where=UNTOLD_EXPIRY,
    )
    op.create_index("ix_machines_heartbeat_due_at", "machines", ["heartbeat_due_at"])
    op.create_index(
        "ix_machines_unique_within_fingerprint", "machines", ["unique_within", "fingerprint"], unique=True
    )
    op.create_table(
        "license_revocations",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("license_id", sa.Uuid(), nullable=False),
        sa.Column(
            "standing",
            sa.Enum(
                "revoked",
                "suspended",
                "restored",
                "deleted",
                name="standing",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_license_revocations")),
    )
    op.create_index("ix_license_revocations_license_id", "license_revocations", ["license_id"], unique=False)

    op.create_table(
        "releases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "draft",
                "published",
                "yanked",
                name="releasestatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("yank_reason", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status = 'draft' OR published_at IS NOT NULL", name=op.f("ck_releases_published_at_known")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_releases_product_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint("product_id", "version", name=op.f("uq_releases_product_id_version")),
    )
    op.create_index("ix_releases_created_at_id", "releases", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_releases_product_id_created_at", "releases", ["product_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_releases_published_at_id", "releases", ["published_at", "id"], unique=False)
    op.create_index("ix_releases_status_created_at", "releases", ["status", "created_at", "id"], unique=False)

    op.create_table(
        "trial_uses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("fingerprint_hash", sa.String(length=255), nullable=True),
        sa.Column("license_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(user_id IS NULL) <> (fingerprint_hash IS NULL)", name=op.f("ck_trial_uses_one_of_both")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_trial_uses_product_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_trial_uses_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial_uses")),
        sa.UniqueConstraint(
            "product_id", "fingerprint_hash", name=op.f("uq_trial_uses_product_id_fingerprint_hash")
        ),
        sa.UniqueConstraint("product_id", "user_id", name=op.f("uq_trial_uses_product_id_user_id")),
    )
    op.create_index("ix_trial_uses_user_id", "trial_uses", ["user_id"], unique=False)

    op.create_table(
        "license_entitlements",
        sa.Column("license_id", sa.Uuid(), nullable=False),
        sa.Column("entitlement_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["entitlement_id"],
            ["entitlements.id"],
            name=op.f("fk_license_entitlements_entitlement_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["license_id"],
            ["licenses.id"],
            name=op.f("fk_license_entitlements_license_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("license_id", "entitlement_id", name=op.f("pk_license_entitlements")),
    )
    op.create_index(
        "ix_license_entitlements_entitlement_id", "license_entitlements", ["entitlement_id"], unique=False
    )

    op.create_table(
        "license_ledger",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("license_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(length=255), nullable=False),
        sa.Column(
            "cause",
            sa.Enum(
                "user",
                "key",
                "operator",
                "policy",
                "payment",
                "time",
                name="causekind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("cause_id", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("changes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("fk_license_ledger_license_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_license_ledger")),
    )
    op.create_index(
        "ix_license_ledger_license_id_created_at",
        "license_ledger",
        ["license_id", "created_at", "id"],
        unique=False,
    )

    op.create_table(
        "license_users",
        sa.Column("license_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("fk_license_users_license_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_license_users_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("license_id", "user_id", name=op.f("pk_license_users")),
    )
    op.create_index("ix_license_users_user_id", "license_users", ["user_id"], unique=False)
    op.create_index(
        "ix_license_users_license_id_created_at",
        "license_users",
        ["license_id", "created_at", "user_id"],
        unique=False,
    )

    op.create_table(
        "retired_keys",
        sa.Column("key_hash", sa.String(length=255), nullable=False),
        sa.Column("license_id", sa.Uuid(), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("fk_retired_keys_license_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_retired_keys")),
    )
    op.create_index("ix_retired_keys_license_id", "retired_keys", ["license_id"], unique=False)
    op.create_index("ix_retired_keys_valid_until", "retired_keys", ["valid_until"], unique=False)

    op.create_table(
        "license_usage_requests",
        sa.Column("license_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("increment", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["license_id"],
            ["licenses.id"],
            name=op.f("fk_license_usage_requests_license_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("license_id", "key", name=op.f("pk_license_usage_requests")),
    )
    op.create_index(
        "ix_license_usage_requests_created_at", "license_usage_requests", ["created_at"], unique=False
    )

    op.create_table(
        "machine_components",
        sa.Column("machine_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machines.id"], name=op.f("fk_machine_components_machine_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("machine_id", "fingerprint", name=op.f("pk_machine_components")),
    )


def downgrade() -> None:
    """Take back."""
    for table in (
        "machine_components",
        "license_usage_requests",
        "retired_keys",
        "license_users",
        "license_ledger",
        "license_entitlements",
        "trial_uses",
        "releases",
        "license_revocations",
    ):
        op.drop_table(table)
    op.drop_index("ix_licenses_untold_expiry", table_name="licenses")
    op.drop_index("ix_licenses_imported_as", table_name="licenses")
    op.drop_index("ix_machines_unique_within_fingerprint", table_name="machines")
    op.drop_index("ix_machines_heartbeat_due_at", table_name="machines")
    for name in [choice[0] for choice in POLICY_CHOICES] + [column[0] for column in NULLABLE_WITH_DEFAULT]:
        op.drop_column("policies", name)
    for name in COUNTS:
        op.drop_column("licenses", name)
    for table, columns in ADDITIONS:
        for column in columns:
            op.drop_column(table, column[0])
    op.execute("UPDATE licenses SET status = 'suspended' WHERE status = 'pending'")
    _set_statuses(OLD_STATUSES)
    op.execute("DELETE FROM signing_keys WHERE purpose = 'licenses'")
    _set_purposes(OLD_PURPOSES)


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _set_purposes(values: tuple[str, ...]) -> None:
    """What a signing key may be for."""
    if op.get_context().dialect.name == "postgresql":
        _set_check("signing_keys", "purpose", "ck_signing_keys_keypurpose", values)
        return
    op.execute("ALTER TABLE signing_keys RENAME TO signing_keys_before")
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(length=255), nullable=False),
        sa.Column("purpose", _choice(values, "ck_signing_keys_keypurpose"), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("retired_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    _copy("signing_keys", "kid, purpose, private_key, created_at, retired_at")
    op.drop_table("signing_keys_before")


def _set_statuses(values: tuple[str, ...]) -> None:
    """What a licence's status may be."""
    if op.get_context().dialect.name == "postgresql":
        _set_check("licenses", "status", "ck_licenses_licensestatus", values)
        return
    # SQLite changes no constraint: the table is made anew, and so are the machines, which refer to
    # it and would be removed with the former one.
    for name, _ in LICENSE_INDEXES:
        op.drop_index(name, table_name="licenses")
    op.execute("ALTER TABLE licenses RENAME TO licenses_before")
    op.create_table(
        "licenses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("waiting_email_key", sa.String(length=800), nullable=True),
        sa.Column("key_hash", sa.String(length=255), nullable=False),
        sa.Column("encrypted_key", sa.Text(), nullable=False),
        sa.Column("status", _choice(values, "ck_licenses_licensestatus"), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("machine_count", sa.Integer(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("machine_count >= 0", name=op.f("ck_licenses_machine_count_not_negative")),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policies.id"], name=op.f("fk_licenses_policy_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_licenses_product_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_licenses_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_licenses")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_licenses_key_hash")),
    )
    _copy("licenses", LICENSE_TABLE)
    op.drop_index("ix_machines_license_id_created_at", table_name="machines")
    op.execute("ALTER TABLE machines RENAME TO machines_before")
    op.create_table(
        "machines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("license_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("platform", sa.String(length=255), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["license_id"], ["licenses.id"], name=op.f("fk_machines_license_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machines")),
        sa.UniqueConstraint("license_id", "fingerprint", name=op.f("uq_machines_license_id_fingerprint")),
    )
    _copy("machines", "id, license_id, fingerprint, name, platform, created_at")
    op.create_index("ix_machines_license_id_created_at", "machines", ["license_id", "created_at", "id"])
    op.drop_table("machines_before")
    op.drop_table("licenses_before")
    for name, columns in LICENSE_INDEXES:
        op.create_index(name, "licenses", columns)


def _copy(table: str, columns: str) -> None:
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_before")  # noqa: S608 - ours


def _choice(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=op.f(name), native_enum=False, create_constraint=True, length=32)


def _set_check(table: str, column: str, name: str, values: tuple[str, ...]) -> None:
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IN ({_listed(values)}))")
