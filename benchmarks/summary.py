"""Medians, ratios and what is due, from rows of figures: plain Python, for report and plot alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.scenarios import (
    ARGON2,
    BESIDE,
    DUES,
    GROWTH,
    LOGIN,
    OURS,
    SCENARIOS,
    V_ALONE,
    V_BESIDE_LOGIN,
    Due,
)

Row = dict[str, Any]
RATES = {
    scenario.name: scenario.rate
    for scenario in (*SCENARIOS, *GROWTH.values(), V_ALONE, V_BESIDE_LOGIN, *BESIDE)
}
NOISE_MOST = 0.1
KEPT_UP = 0.95  # of what was offered at random moments: less is more than chance


class Summary:
    """The rows of a run, by scenario and system."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            self._rows.setdefault((row["scenario"], row["system"]), []).append(row)

    def has(self, scenario: str, system: str = OURS) -> bool:
        """Whether this was measured."""
        return (scenario, system) in self._rows

    def figures(self, scenario: str, system: str, name: str) -> list[float]:
        """One figure of each round."""
        return [row[name] for row in self._rows[scenario, system]]

    def median(self, scenario: str, system: str, name: str) -> float:
        """The median over the rounds."""
        return float(median(self.figures(scenario, system, name)))

    def total(self, scenario: str, system: str, name: str) -> int:
        """The sum over the rounds."""
        return int(sum(self.figures(scenario, system, name)))

    def errors(self, scenario: str, system: str) -> int:
        """Answers of 400 and above, and requests without an answer."""
        return sum(self.total(scenario, system, name) for name in ("refused", "broken"))


@dataclass(frozen=True, slots=True)
class Finding:
    """A target beside what was measured.

    :param errors: of ours; with any, the figure counts for nothing.
    :param noise: the share of the machine that was busy with something else.
    :param lag: in words, that an offered rate was not kept up with; else empty.
    """

    due: Due
    found: float
    errors: int
    noise: float
    lag: str

    @property
    def verdict(self) -> str:
        """yes, no or unclear, with the reason where it is not the figure itself."""
        if self.errors:
            return f"no: errors: {self.errors:,}"
        if self.noise > NOISE_MOST:
            return f"unclear: others had {self.noise:.0%} of the machine"
        if self.lag:
            return f"no: {self.lag}"
        reached = self.found >= self.due.bound if self.due.is_least else self.found <= self.due.bound
        return "yes" if reached else "no"


def findings(summary: Summary) -> list[Finding]:
    """Every target whose figures were measured: ratios are of medians."""
    found = []
    for due in DUES:
        divisor = _divisor(summary, due)
        if summary.has(due.scenario) and divisor:
            value = summary.median(due.scenario, OURS, due.figure) / divisor
            errors = errors_of_ours(summary, due.scenario)
            found.append(Finding(due, value, errors, noise(summary, due), lag(summary, due.scenario)))
    return found


def noise(summary: Summary, due: Due) -> float:
    """What others took of the machine while the figures of a target were measured, at the worst.

    It does not touch all alike: who has more threads gets more of a busy machine.
    """
    compared = [
        (due.scenario, OURS),
        (due.scenario, due.beside_system or OURS),
        (due.beside_scenario or due.scenario, OURS),
    ]
    return max(summary.median(*pair, "others") for pair in compared if summary.has(*pair))


def _divisor(summary: Summary, due: Due) -> float | None:
    """What the figure is divided by; None where it was not measured."""
    if due.beside_system is None and due.beside_scenario is None:
        return 1.0
    scenario = due.beside_scenario or due.scenario
    system = due.beside_system or (ARGON2.name if scenario == ARGON2.name else OURS)
    return summary.median(scenario, system, due.figure) if summary.has(scenario, system) else None


def errors_of_ours(summary: Summary, name: str) -> int:
    """What Dev Forge API did not answer, or by 400 and above.

    A sign-in that is refused with 503 is no error: the hashers' queue is bounded on purpose.
    """
    admitted = summary.total(name, OURS, "unavailable") if name == LOGIN.name else 0
    return summary.errors(name, OURS) - admitted


def lag(summary: Summary, name: str) -> str:
    """What Dev Forge API answered of an offered rate, if that is too little; else nothing."""
    offered, answered = RATES.get(name), summary.median(name, OURS, "rate")
    if offered and answered < KEPT_UP * offered:
        return f"only {answered:,.0f} a second of {offered:,}"
    return ""
