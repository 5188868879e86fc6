"""Prometheus metrics of the gateway; several processes share a folder."""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess, values

REQUESTS = Counter("devforge_http_requests_total", "Requests answered.", ["method", "route", "status"])
DURATION = Histogram(
    "devforge_http_request_duration_seconds",
    "Time from the request's arrival in the application to its answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request; ``route`` is the rule, never the path."""
    requests, duration = _series(method, route, status)
    requests.inc()
    duration.observe(seconds)


@cache  # bounded by the labels
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, str(status)), DURATION.labels(method, route)


def exposition() -> bytes:
    """The text that Prometheus scrapes, of all processes together."""
    registry = CollectorRegistry()
    if values.ValueClass.__name__ == "MmapedValue":
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest()
