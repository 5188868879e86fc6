"""Ops: what the operator needs. Health, readiness, metrics, the server, demo data."""
