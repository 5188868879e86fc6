"""Limits: how much of something is taken, how much may be, and how far beyond is tolerated."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from devforge_api.licenses.models import Overage
from devforge_api.licenses.queries import Facts

_FACTORS = {
    Overage.NONE: Fraction(1),
    Overage.QUARTER: Fraction(5, 4),
    Overage.HALF: Fraction(3, 2),
    Overage.DOUBLE: Fraction(2),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """``maximum``: None: as many as they like."""

    taken: int
    maximum: int | None
    overage: Overage = Overage.NONE

    @property
    def cap(self) -> int | None:
        """What is never exceeded: the maximum with what is tolerated, rounded down."""
        if self.maximum is None or self.overage is Overage.ALWAYS:
            return None
        return int(self.maximum * _FACTORS[self.overage])

    @property
    def exceeded(self) -> bool:
        """Whether more is taken than the maximum."""
        return self.maximum is not None and self.taken > self.maximum

    @property
    def tolerated(self) -> bool:
        """Whether what is taken lies within the cap."""
        return self.admits(0)

    def admits(self, more: int) -> bool:
        """Whether so much more can be taken."""
        return self.cap is None or self.taken + more <= self.cap


def limit_of(facts: Facts, name: str) -> Limit:
    """One of a licence's limits: machines, cores, users; uses know no overage."""
    overage = Overage.NONE if name == "uses" else facts.terms.overage
    return Limit(facts.taken[name], facts.limit(name), overage)
