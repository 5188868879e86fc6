"""What apps verify without asking, on the wire."""

from __future__ import annotations

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema

DAY = 86_400  # seconds


class _FileQuerySchema(BaseSchema):
    """What kind of file is wanted."""

    encrypt = fields.Boolean(
        load_default=False,
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "Then only whoever has the key can read it."},
    )
    ttl = fields.QueryInt(
        min=3600,
        max=366 * DAY,
        load_default=30 * DAY,
        metadata={"description": "Seconds for which the file holds, if the licence does.", "example": 86_400},
    )
    fields_ = fields.Text(
        data_key="fields",
        max=1000,
        metadata={"description": "Comma-separated names: trims the answer.", "example": "certificate"},
    )


class LicenseFileQuerySchema(_FileQuerySchema):
    """What kind of licence file is wanted."""

    include = fields.QueryNames(
        "machines",
        "policy",
        load_default=frozenset,
        metadata={"description": "Of `machines,policy`.", "example": "machines,policy"},
    )


class MachineFileQuerySchema(_FileQuerySchema):
    """What kind of machine file is wanted."""

    include = fields.QueryNames(
        "components",
        "policy",
        load_default=frozenset,
        metadata={"description": "Of `components,policy`.", "example": "components"},
    )


class RevocationQuerySchema(BaseSchema):
    """How far the list has been read."""

    since = fields.QueryInt(
        load_default=0, metadata={"description": "`next` of what was read last.", "example": 0}
    )
    fields_ = fields.Text(
        data_key="fields",
        max=1000,
        metadata={"description": "Comma-separated names: trims the answer.", "example": "certificate"},
    )


class CertificateSchema(BaseSchema):
    """A document with our signature, and what its `meta` says of it."""

    certificate = fields.Text(
        max=None,
        metadata={
            "description": "Text, to be kept as it is.",
            "example": "-----BEGIN LICENSE FILE-----\neyJlbmMiOiJleUoy…\n-----END LICENSE FILE-----\n",
        },
    )
    issued = fields.Text(metadata={"format": "date-time", "example": "2026-01-15T09:30:00Z"})
    expiry = fields.Text(metadata={"format": "date-time", "example": "2026-02-14T09:30:00Z"})
    ttl = fields.Int(metadata={"description": "Seconds between the two.", "example": 2_592_000})
    kid = fields.Text(
        metadata={
            "description": "Whose signature: see `/.well-known/license-keys.json`.",
            "example": "0199f0a07c1e7a548d3f6f1f3d1b2c4d",
        }
    )
