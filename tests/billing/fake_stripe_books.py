"""The objects of the fake Stripe, and what its endpoints do with them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from tests.billing.fake_stripe_parts import LISTS, SINGLE, Refusal, Thing, copy, given

DAY = 86400
LENGTHS = {"month": 30 * DAY, "year": 365 * DAY}
API_VERSION = "2026-10-28.endive"


class Books:
    """Everything that the fake knows. Not locked: `FakeStripe` is."""

    def __init__(self) -> None:
        self.objects: dict[str, Thing] = {}
        self.events: list[Thing] = []
        self.declined: set[str] = set()  # customers whose cards are declined
        self.refund_status = "succeeded"  # of what is refunded next
        self._numbers = itertools.count(1)

    # --- objects --------------------------------------------------------------------------------
    def make(self, prefix: str, kind: str, **values: Any) -> Thing:
        """A new object."""
        made: Thing = {"id": f"{prefix}_{next(self._numbers):08d}", "object": kind, "livemode": False}
        made |= {"created": int(time.time()), **values}
        self.objects[made["id"]] = made
        return made

    def find(self, object_id: Any, kind: str, param: str = "id") -> Thing:
        found = self.objects.get(str(object_id))
        if found is None or found["object"] != kind or found.get("deleted"):
            words, status = f"No such {kind}: '{object_id}'", 404 if param == "id" else 400
            raise Refusal(words, status=status, code="resource_missing", param=param)
        return found

    def all(self, kind: str, **having: Any) -> list[Thing]:
        """Objects of a kind, newest first."""
        found = (one for one in self.objects.values() if one["object"] == kind)
        return [one for one in found if all(one.get(name) == value for name, value in having.items())][::-1]

    def tell(self, kind: str, about: Thing) -> Thing:
        """Note an event, with the object as it is now."""
        event = self.make("evt", "event", type=kind, api_version=API_VERSION, data={"object": copy(about)})
        self.events.append(event)
        return event

    def includable(self, told: Thing) -> dict[str, Callable[[Thing], list[Thing]]]:
        """Lists that are part of an object where they are asked for."""
        found: dict[str, dict[str, Callable[[Thing], list[Thing]]]] = {
            "charge": {"refunds": lambda charge: self.all("refund", charge=charge["id"])},
            "invoice": {"payments": lambda invoice: self.all("invoice_payment", invoice=invoice["id"])},
        }
        return found.get(str(told.get("object")), {})

    def include(self, told: Thing, name: str) -> Thing:
        found = self.includable(told)[name](told)
        return {"object": "list", "data": copy(found[:10]), "has_more": len(found) > 10, "url": "/v1/none"}

    # --- endpoints ------------------------------------------------------------------------------
    def call(self, method: str, path: str, params: Thing) -> Any:
        """What an endpoint answers. :raises Refusal: also where there is none."""
        parts = path.removeprefix("/v1/").split("/")
        nested = len(parts) > 1 and parts[0] in ("checkout", "billing_portal")
        name = "/".join(parts[:2]) if nested else parts[0]
        rest = parts[2:] if nested else parts[1:]
        match method, rest:
            case "GET", []:
                return self._list(name, path, params)
            case "GET", [object_id]:
                if name in SINGLE:
                    return self.find(object_id, SINGLE[name])
            case "POST", []:
                if create := getattr(self, "create_" + name.replace("/", "_"), None):
                    return given(create, params)
            case "POST", [object_id]:
                if name == "subscriptions":
                    return given(self.update_subscription, params, object_id)
            case "POST", [object_id, "expire"] if name == "checkout/sessions":
                return self.expire(object_id)
            case "DELETE", [object_id] if name == "subscriptions":
                return self.end(self.running(object_id))
        raise Refusal(f"Unrecognized request URL ({method}: {path}).", status=404)

    def _list(self, name: str, path: str, params: Thing) -> Thing:
        filters = LISTS.get(name)
        if filters is None:
            raise Refusal(f"Unrecognized request URL (GET: {path}).", status=404)
        limit, after = int(params.pop("limit", 10)), params.pop("starting_after", None)
        if unknown := sorted(set(params) - {*filters, "created"}):
            raise Refusal(f"Received unknown parameter: {unknown[0]}", code="parameter_unknown")
        created = params.pop("created", {})
        found = self.all(SINGLE.get(name, name.rstrip("s")))
        if "types" in params:
            types = params.pop("types")
            if len(types) > 20:
                raise Refusal("You may only specify up to 20 values.")
            found = [one for one in found if one["type"] in types]
        if "payment" in params:
            intent = params.pop("payment")["payment_intent"]
            found = [one for one in found if one["payment"].get("payment_intent") == intent]
        if name == "invoices" and "subscription" in params:
            of = params.pop("subscription")
            found = [one for one in found if one["parent"]["subscription_details"]["subscription"] == of]
        found = [one for one in found if all(one.get(key) == value for key, value in params.items())]
        found = [one for one in found if int(created.get("gte", 0)) <= one["created"]]
        found = [one for one in found if one["created"] <= int(created.get("lte", 1 << 40))]
        if after is not None:
            found = found[[one["id"] for one in found].index(after) + 1 :]
        more = len(found) > limit
        return {"object": "list", "url": path, "has_more": more, "data": found[:limit]}

    def create_prices(
        self, *, currency: str, unit_amount: str, product_data: Thing, metadata: Thing, recurring: Any = None
    ) -> Thing:
        product = self.make("prod", "product", name=product_data["name"], metadata={})
        return self.make(
            "price", "price", currency=currency, unit_amount=int(unit_amount), metadata=metadata,
            product=product["id"], active=True, recurring=recurring,
            type="recurring" if recurring else "one_time",
        )  # fmt: skip

    def create_customers(self, *, email: str, metadata: Thing) -> Thing:
        return self.make("cus", "customer", email=email, metadata=metadata)

    def create_checkout_sessions(
        self, *, customer: str, client_reference_id: str, line_items: list[Thing], metadata: Thing,
        success_url: str, cancel_url: str, mode: str, payment_intent_data: Any = None,
        subscription_data: Any = None,
    ) -> Thing:  # fmt: skip
        self.find(customer, "customer", "customer")
        lines = [
            (self.find(line["price"], "price", f"line_items[{place}][price]"), int(line["quantity"]))
            for place, line in enumerate(line_items)
        ]
        recurring = {price["recurring"] is not None for price, _ in lines}
        if recurring != {mode == "subscription"}:
            raise Refusal(f"These prices cannot be used in `{mode}` mode.")
        if len({price["id"] for price, _ in lines}) < len(lines) and mode == "subscription":
            raise Refusal("A subscription cannot have two items of one price.")
        made = self.make(
            "cs_test", "checkout.session", customer=customer, client_reference_id=client_reference_id,
            metadata=metadata, success_url=success_url, cancel_url=cancel_url, mode=mode, status="open",
            payment_status="unpaid", payment_intent=None, subscription=None, invoice=None,
            currency=lines[0][0]["currency"],
            amount_total=sum(price["unit_amount"] * quantity for price, quantity in lines),
        )  # fmt: skip
        made["url"] = f"https://checkout.stripe.example/c/pay/{made['id']}"
        self.hidden(made)["lines"] = lines
        self.hidden(made)["data"] = payment_intent_data or subscription_data or {}
        return made

    def hidden(self, thing: Thing) -> Thing:
        """What the fake knows of an object and does not show."""
        return self.objects.setdefault(f"{thing['id']}/hidden", {"object": "hidden", "created": 0})

    def expire(self, session_id: str) -> Thing:
        session = self.find(session_id, "checkout.session")
        if session["status"] != "open":
            raise Refusal('Only Checkout Sessions with a status in ["open"] can be expired.')
        session |= {"status": "expired", "url": None}
        self.tell("checkout.session.expired", session)
        return session

    def create_billing_portal_sessions(self, *, customer: str, return_url: str) -> Thing:
        self.find(customer, "customer", "customer")
        address = "https://billing.stripe.example/p/session/1"
        return self.make(
            "bps", "billing_portal.session", customer=customer, url=address, return_url=return_url
        )

    # --- money ----------------------------------------------------------------------------------
    def charge(self, customer: str, amount: int, currency: str, metadata: Thing, status: str) -> Thing:
        """A payment intent and its charge: succeeded, failed, or processing (then pending)."""
        intent = self.make(
            "pi", "payment_intent", customer=customer, amount=amount, currency=currency, metadata=metadata,
            status="processing", latest_charge=None, last_payment_error=None,
        )  # fmt: skip
        self.attempt(intent, status)
        return intent

    def attempt(self, intent: Thing, status: str) -> Thing:
        failed = status == "failed"
        charge = self.make(
            "ch", "charge", customer=intent["customer"], amount=intent["amount"], amount_refunded=0,
            currency=intent["currency"], metadata=copy(intent["metadata"]), payment_intent=intent["id"],
            status={"processing": "pending"}.get(status, status), paid=status == "succeeded", refunded=False,
            disputed=False, failure_message="Your card was declined." if failed else None,
        )  # fmt: skip
        intent |= {
            "latest_charge": charge["id"],
            "status": "requires_payment_method" if failed else status,
            "last_payment_error": {"message": "Your card was declined."} if failed else None,
        }
        return charge

    def create_refunds(
        self, *, amount: Any = None, metadata: Any = None, payment_intent: Any = None, charge: Any = None
    ) -> Thing:
        if payment_intent is not None:
            charge = self.find(payment_intent, "payment_intent", "payment_intent")["latest_charge"]
        of = self.find(charge, "charge", "charge")
        if not of["paid"]:
            raise Refusal("This PaymentIntent does not have a successful charge to refund.")
        left = of["amount"] - of["amount_refunded"]
        if left == 0:
            raise Refusal(f"Charge {of['id']} has already been refunded.", code="charge_already_refunded")
        wanted = left if amount is None else int(amount)
        if wanted > left:
            words = f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({left})"
            raise Refusal(words, param="amount")
        if of["disputed"] and not self.hidden(of).get("won"):
            raise Refusal(f"Charge {of['id']} has been charged back.", code="charge_disputed")
        made = self.make(
            "re", "refund", amount=wanted, currency=of["currency"], charge=of["id"],
            payment_intent=of["payment_intent"], metadata=metadata or {}, status=self.refund_status,
            failure_reason=None,
        )  # fmt: skip
        self._count_refunds(of)
        self.tell("refund.created", made)
        self.tell("charge.refunded", of)
        return made

    def _count_refunds(self, of: Thing) -> None:
        made = self.all("refund", charge=of["id"])
        back = sum(one["amount"] for one in made if one["status"] not in ("failed", "canceled"))
        of |= {"amount_refunded": back, "refunded": back == of["amount"]}

    def turn_refund(self, refund_id: str, status: str) -> Thing:
        """A refund that has come to something else."""
        refund = self.find(refund_id, "refund")
        refund |= {"status": status}
        if status == "failed":
            refund["failure_reason"] = "expired_or_canceled_card"
            self.tell("refund.failed", refund)
        self._count_refunds(self.objects[refund["charge"]])
        self.tell("refund.updated", refund)
        return refund

    # --- subscriptions --------------------------------------------------------------------------
    def running(self, subscription_id: str) -> Thing:
        found = self.find(subscription_id, "subscription")
        if found["status"] == "canceled":
            words = f"No such subscription: '{subscription_id}'"
            raise Refusal(words, status=404, code="resource_missing", param="id")
        return found

    def end(self, subscription: Thing) -> Thing:
        now = int(time.time())
        subscription |= {"status": "canceled", "ended_at": now, "canceled_at": now}
        self.tell("customer.subscription.deleted", subscription)
        return subscription

    def update_subscription(
        self, subscription_id: str, *, cancel_at_period_end: Any = None, cancel_at: Any = None,
        items: Any = None, metadata: Any = None, payment_behavior: str = "allow_incomplete",
        proration_behavior: str = "create_prorations",
    ) -> Thing:  # fmt: skip
        subscription = self.running(subscription_id)
        if items is not None:
            line = items[0]
            item = next(one for one in subscription["items"]["data"] if one["id"] == line["id"])
            price = self.find(line["price"], "price", "items[0][price]")
            self._move(subscription, item, price, int(line["quantity"]), payment_behavior, proration_behavior)
        if cancel_at_period_end is not None:
            subscription["cancel_at_period_end"] = cancel_at_period_end in ("true", True)
        if cancel_at is not None:
            subscription["cancel_at"] = int(cancel_at) if cancel_at else None
        subscription["metadata"] |= metadata or {}
        self.tell("customer.subscription.updated", subscription)
        return subscription

    def _move(
        self, subscription: Thing, item: Thing, price: Thing, quantity: int, on_failure: str, proration: str
    ) -> None:
        before = item["price"]["unit_amount"] * item["quantity"]
        more = price["unit_amount"] * quantity - before
        if proration == "always_invoice" and subscription["status"] != "trialing":
            declined = subscription["customer"] in self.declined and more > 0
            if declined and on_failure == "error_if_incomplete":
                raise Refusal("Your card was declined.", status=402, kind="card_error", code="card_declined")
            self.invoice(subscription, more, "failed" if declined else "succeeded")
        item |= {"price": copy(price), "quantity": quantity}

    def invoice(self, subscription: Thing, amount: int, status: str) -> Thing:
        """An invoice of a subscription for its present period, and the attempt to collect it."""
        item = subscription["items"]["data"][0]
        period = {"start": item["current_period_start"], "end": item["current_period_end"]}
        details = {"subscription": subscription["id"], "metadata": copy(subscription["metadata"])}
        due, now = max(amount, 0), int(time.time())
        made = self.make(
            "in", "invoice", customer=subscription["customer"], currency=subscription["currency"],
            status="open", total=amount, amount_due=due, amount_paid=0, attempted=True, metadata={},
            period_start=now, period_end=now, status_transitions={"paid_at": None},
            parent={"type": "subscription_details", "subscription_details": details},
            lines={"object": "list", "has_more": False, "data": [
                {"id": f"il_{next(self._numbers)}", "object": "line_item", "amount": amount, "period": period,
                 "parent": {"type": "subscription_item_details"}},
            ]},
        )  # fmt: skip
        subscription["latest_invoice"] = made["id"]
        if due:
            intent = self.charge(subscription["customer"], due, subscription["currency"], {}, status)
            self.make(
                "inpay", "invoice_payment", invoice=made["id"], status="open", amount_requested=due,
                payment={"type": "payment_intent", "payment_intent": intent["id"]},
            )  # fmt: skip
        if status == "succeeded" or not due:
            self.paid(made)
        elif status == "failed":
            self.tell("invoice.payment_failed", made)
        return made

    def paid(self, invoice: Thing) -> None:
        transitions = {"paid_at": int(time.time())}
        invoice |= {"status": "paid", "amount_paid": invoice["amount_due"], "status_transitions": transitions}
        for payment in self.all("invoice_payment", invoice=invoice["id"]):
            payment |= {"status": "paid", "amount_paid": invoice["amount_due"]}
        self.tell("invoice.paid", invoice)
