"""Time: always aware, always UTC."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def rfc3339(at: datetime) -> str:
    """``2026-01-31T08:15:30.123456Z``: how a moment is written on the wire (RFC 3339)."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
