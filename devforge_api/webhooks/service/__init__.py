"""What webhooks do, by topic."""
