"""What was sold in some days, and what of it stayed: sums of the ledger, in each currency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from devforge_api.billing.models import Account, Interval
from devforge_api.billing.queries import report as queries
from devforge_api.core.errors import ValidationFailed

LONGEST = timedelta(days=3_660)
COLUMNS = (
    "currency", "of", "name", "gross", "refunds", "disputes", "net", "orders", "new_subscriptions",
    "ended_subscriptions", "active_subscriptions", "monthly_recurring_revenue",
)  # fmt: skip


@dataclass(slots=True)
class Takings:
    """Minor units: what was sold, what went back, what banks hold or took; and what is left."""

    gross: int = 0
    refunds: int = 0
    disputes: int = 0

    @property
    def net(self) -> int:
        """Before the provider's fees, which it does not tell of."""
        return self.gross - self.refunds - self.disputes

    def add(self, account: Account, amount: int) -> None:
        """Count what came to an account; revenue leaves its own."""
        if account is Account.REVENUE:
            self.gross -= amount
        elif account is Account.REFUNDS:
            self.refunds += amount
        elif account is Account.DISPUTES:
            self.disputes += amount


@dataclass(slots=True)
class OfDay(Takings):
    """Of one day in UTC."""

    day: date = date.min


@dataclass(slots=True)
class OfProduct(Takings):
    """Of one product."""

    product_id: UUID | None = None
    code: str = ""
    name: str = ""


@dataclass(slots=True)
class InCurrency(Takings):
    """All that was taken in one currency.

    :param active_subscriptions: now, whatever days are asked about; as is ``monthly_recurring_revenue``.
    """

    currency: str = ""
    orders: int = 0
    new_subscriptions: int = 0
    ended_subscriptions: int = 0
    active_subscriptions: int = 0
    monthly_recurring_revenue: int = 0
    products: list[OfProduct] = field(default_factory=list)
    days: list[OfDay] = field(default_factory=list)


def report(first: date, last: date, currency: str | None = None) -> list[InCurrency]:
    """What was taken from one day to another, both included, in UTC; by currency.

    The number of statements depends neither on the days nor on what was sold.

    :param currency: only this one; None: every one of which there is something to tell.
    :raises ValidationFailed: the last day is before the first one, or ten years after it.
    """
    if not timedelta() <= last - first <= LONGEST:
        raise ValidationFailed.of("to", f"Ask for at least one day, and at most {LONGEST.days}.")
    begin = datetime.combine(first, time.min, UTC)
    stretch = queries.Stretch(begin, datetime.combine(last, time.min, UTC) + timedelta(days=1), currency)
    days: dict[tuple[str, date], OfDay] = {}
    totals: dict[str, InCurrency] = {}

    def total(code: str) -> InCurrency:
        return totals.setdefault(code, InCurrency(currency=code))

    for one in queries.sums_by_day(stretch):
        total(one.currency).add(one.account, one.amount)
        days.setdefault((one.currency, one.of), OfDay(day=one.of)).add(one.account, one.amount)
    for (code, _), day in sorted(days.items(), key=lambda item: item[0]):
        total(code).days.append(day)
    for code, product in _by_product(stretch):
        total(code).products.append(product)
    for name, counts in _counts(stretch).items():
        for code, count in counts.items():
            setattr(total(code), name, count)
    return [totals[code] for code in sorted(totals)]


def _by_product(stretch: queries.Stretch) -> Iterator[tuple[str, OfProduct]]:
    """In the order of their codes."""
    known = queries.products()
    found: dict[tuple[str, UUID], OfProduct] = {}

    def add(code: str, product_id: UUID, account: Account, amount: int) -> None:
        if (code, product_id) not in found:
            found[code, product_id] = OfProduct(
                product_id=product_id, code=known[product_id][0], name=known[product_id][1]
            )
        found[code, product_id].add(account, amount)

    for one in queries.sums_by_product(stretch):
        add(one.currency, one.of, one.account, one.amount)
    mixed = queries.sums_of_mixed_orders(stretch)
    weights = queries.weights([one.of for one in mixed])
    for one in mixed:
        for product_id, part in split(one.amount, weights[one.of]).items():
            add(one.currency, product_id, one.account, part)
    for (code, _), product in sorted(found.items(), key=lambda item: (item[0][0], item[1].code)):
        yield code, product


def split(amount: int, weights: Mapping[UUID, int]) -> dict[UUID, int]:
    """Parts of an amount in proportion to the weights, whose sum is the amount to the last minor unit.

    What rounding leaves over goes to the largest remainders.
    """
    whole = sum(weights.values())
    if whole == 0:
        weights, whole = dict.fromkeys(weights, 1), len(weights)
    sign, size = (-1 if amount < 0 else 1), abs(amount)
    parts = {key: size * weight // whole for key, weight in weights.items()}
    left = size - sum(parts.values())
    for key in sorted(weights, key=lambda key: (-(size * weights[key] % whole), key))[:left]:
        parts[key] += 1
    return {key: sign * part for key, part in parts.items()}


def _counts(stretch: queries.Stretch) -> dict[str, Mapping[str, int]]:
    return {
        "orders": queries.orders_paid(stretch),
        "new_subscriptions": queries.subscriptions_begun(stretch),
        "ended_subscriptions": queries.subscriptions_ended(stretch),
        "active_subscriptions": queries.subscriptions_paying(stretch.currency),
        "monthly_recurring_revenue": _monthly(queries.recurring(stretch.currency)),
    }


def _monthly(recurring: Iterable[tuple[str, Interval, int]]) -> dict[str, int]:
    """A year's price counts a twelfth of it each month; the sum is rounded, not each subscription."""
    twelfths: dict[str, int] = {}
    for code, interval, amount in recurring:
        twelfths[code] = twelfths.get(code, 0) + amount * {Interval.YEAR: 1, Interval.MONTH: 12}[interval]
    return {code: (amount + 6) // 12 for code, amount in twelfths.items()}


def rows(found: Iterable[InCurrency]) -> Iterator[dict[str, Any]]:
    """The report as lines of one table by the names of `COLUMNS`: totals, then products, then days."""
    for one in found:
        counts = {name: getattr(one, name) for name in COLUMNS[7:]}
        yield _row(one.currency, "total", "", one) | counts
        for product in one.products:
            yield _row(one.currency, "product", product.name, product)
        for day in one.days:
            yield _row(one.currency, "day", day.day.isoformat(), day)


def _row(currency: str, of: str, name: str, takings: Takings) -> dict[str, Any]:
    return dict.fromkeys(COLUMNS) | {
        "currency": currency,
        "of": of,
        "name": name,
        "gross": takings.gross,
        "refunds": takings.refunds,
        "disputes": takings.disputes,
        "net": takings.net,
    }
