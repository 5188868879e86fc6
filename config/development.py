"""A developer's own machine: SQLite, no Redis, secrets made once in the data folder."""

BILLING_PROVIDER = "test"
LOCAL_DESTINATIONS = "loopback"
