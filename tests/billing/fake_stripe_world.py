"""What happens outside: payers, their banks, the customer portal and the dashboard.

Every verb changes the books as Stripe would, and notes the events that Stripe would tell. It answers
the object that it is about. Renewals put a subscription's period on without waiting for it.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from tests.billing.fake_stripe_books import DAY, LENGTHS, Books
from tests.billing.fake_stripe_parts import Thing, copy


class World:
    """Verbs, one at a time."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.lock = threading.RLock()

    def take_events(self) -> list[Thing]:
        """The events since they were last taken, oldest first."""
        with self.lock:
            taken, self.books.events = self.books.events, []
            return taken

    def get(self, object_id: str) -> Thing:
        """An object as it is now."""
        with self.lock:
            found: Thing = copy(self.books.objects[object_id])
            return found

    # --- checkouts ------------------------------------------------------------------------------
    def pay(self, session_id: str, *, later: bool = False) -> Thing:
        """The payer completes a checkout; ``later``: with a debit whose money is on its way."""
        with self.lock:
            session = self.books.find(session_id, "checkout.session")
            assert session["status"] == "open", "the page is closed"
            session |= {"status": "complete", "payment_status": "unpaid" if later else "paid", "url": None}
            if session["mode"] == "subscription":
                self._subscribe(session, later=later)
            elif session["amount_total"] == 0:
                session["payment_status"] = "no_payment_required"
            else:
                data = self.books.hidden(session)["data"]
                intent = self.books.charge(
                    session["customer"], session["amount_total"], session["currency"],
                    data.get("metadata", {}), "processing" if later else "succeeded",
                )  # fmt: skip
                session["payment_intent"] = intent["id"]
            self.books.tell("checkout.session.completed", session)
            return session

    def _subscribe(self, session: Thing, *, later: bool) -> None:
        hidden = self.books.hidden(session)
        data, now = hidden["data"], int(time.time())
        trial = data.get("trial_period_days")
        length = int(trial) * DAY if trial else LENGTHS[hidden["lines"][0][0]["recurring"]["interval"]]
        period = {"current_period_start": now, "current_period_end": now + length}
        subscription = self.books.make(
            "sub", "subscription", customer=session["customer"], currency=session["currency"],
            metadata=copy(data.get("metadata", {})), status="trialing" if trial else "active",
            cancel_at_period_end=False, cancel_at=None, canceled_at=None, ended_at=None,
            pause_collection=None, latest_invoice=None,
        )  # fmt: skip
        items = [
            self.books.make(
                "si", "subscription_item", subscription=subscription["id"], quantity=quantity,
                price=copy(price), metadata={}, **period,
            )
            for price, quantity in hidden["lines"]
        ]  # fmt: skip
        # Newest first: nobody may rely on their order.
        subscription["items"] = {"object": "list", "has_more": False, "data": items[::-1], "url": "/v1/none"}
        session["subscription"] = subscription["id"]
        self.books.tell("customer.subscription.created", subscription)
        amount = 0 if trial else session["amount_total"]
        invoice = self.books.invoice(subscription, amount, "processing" if later else "succeeded")
        session["invoice"] = invoice["id"]
        if trial:
            session["payment_status"] = "no_payment_required"

    def money_comes(self, session_id: str) -> Thing:
        """A debit succeeds."""
        with self.lock:
            session = self.books.find(session_id, "checkout.session")
            session["payment_status"] = "paid"
            intent = self.books.objects[self._intent(session)]
            charge = self.books.objects[intent["latest_charge"]]
            intent["status"], charge["status"], charge["paid"] = "succeeded", "succeeded", True
            if session["invoice"] is not None:
                self.books.paid(self.books.objects[session["invoice"]])
            self.books.tell("checkout.session.async_payment_succeeded", session)
            return session

    def money_fails(self, session_id: str) -> Thing:
        """A debit is refused after all."""
        with self.lock:
            session = self.books.find(session_id, "checkout.session")
            intent = self.books.objects[self._intent(session)]
            charge = self.books.objects[intent["latest_charge"]]
            error = "The debit was refused."
            charge |= {"status": "failed", "failure_message": error}
            intent |= {"status": "requires_payment_method", "last_payment_error": {"message": error}}
            self.books.tell("checkout.session.async_payment_failed", session)
            return session

    def expire(self, session_id: str) -> Thing:
        """Nobody has paid for a day."""
        with self.lock:
            return self.books.expire(session_id)

    def _intent(self, thing: Thing) -> str:
        """The payment intent of a checkout or an invoice."""
        if thing.get("payment_intent"):
            return str(thing["payment_intent"])
        invoice = thing["id"] if thing["object"] == "invoice" else thing["invoice"]
        payment = self.books.all("invoice_payment", invoice=invoice)[0]
        return str(payment["payment"]["payment_intent"])

    # --- subscriptions --------------------------------------------------------------------------
    def renew(self, subscription_id: str, *, declined: bool = False) -> Thing:
        """The next period begins, and is paid, or the card is declined; the invoice is answered."""
        with self.lock:
            subscription = self.books.running(subscription_id)
            for item in subscription["items"]["data"]:
                start = item["current_period_end"]
                end = start + LENGTHS[item["price"]["recurring"]["interval"]]
                item |= {"current_period_start": start, "current_period_end": end}
            items = subscription["items"]["data"]
            amount = sum(item["price"]["unit_amount"] * item["quantity"] for item in items)
            invoice = self.books.invoice(subscription, amount, "failed" if declined else "succeeded")
            subscription["status"] = "past_due" if declined else "active"
            self.books.tell("customer.subscription.updated", subscription)
            return invoice

    def recover(self, subscription_id: str) -> Thing:
        """The open invoice is paid with another card."""
        with self.lock:
            subscription = self.books.running(subscription_id)
            invoice = self.books.objects[subscription["latest_invoice"]]
            self.books.attempt(self.books.objects[self._intent(invoice)], "succeeded")
            self.books.paid(invoice)
            return self.turn(subscription_id, "active")

    def turn(self, subscription_id: str, status: str) -> Thing:
        """A subscription becomes ``unpaid``, ``paused``, ``active`` …"""
        with self.lock:
            subscription = self.books.running(subscription_id)
            subscription["status"] = status
            kind = {"paused": "paused", "active": "updated"}.get(status, "updated")
            self.books.tell(f"customer.subscription.{kind}", subscription)
            return subscription

    def resume(self, subscription_id: str) -> Thing:
        """A paused subscription goes on."""
        with self.lock:
            subscription = self.turn(subscription_id, "active")
            self.books.tell("customer.subscription.resumed", subscription)
            return subscription

    def cancel(self, subscription_id: str, *, at_period_end: bool = False) -> Thing:
        """In the portal; now, or when the period ends."""
        with self.lock:
            if at_period_end:
                return self.books.update_subscription(subscription_id, cancel_at_period_end=True)
            return self.books.end(self.books.running(subscription_id))

    def change_price(self, subscription_id: str, price_reference: str) -> Thing:
        """In the portal, of a subscription's only item."""
        with self.lock:
            item = self.books.running(subscription_id)["items"]["data"][0]
            line = {"id": item["id"], "price": price_reference, "quantity": item["quantity"]}
            return self.books.update_subscription(
                subscription_id, items=[line], proration_behavior="always_invoice"
            )

    # --- money back -----------------------------------------------------------------------------
    def refund(self, reference: str, amount: int | None = None, *, status: str = "succeeded") -> Thing:
        """In the dashboard, all or a part; of a checkout, an invoice or a payment intent."""
        with self.lock:
            thing = self.books.objects[reference]
            intent = reference if thing["object"] == "payment_intent" else self._intent(thing)
            before, self.books.refund_status = self.books.refund_status, status
            try:
                return self.books.create_refunds(payment_intent=intent, amount=amount)
            finally:
                self.books.refund_status = before

    def turn_refund(self, refund_id: str, status: str = "failed") -> Thing:
        """A refund fails, succeeds or is canceled."""
        with self.lock:
            return self.books.turn_refund(refund_id, status)

    def dispute(self, reference: str, *, status: str = "needs_response") -> Thing:
        """The payer's bank takes a payment back; ``warning_needs_response``: it only asks."""
        with self.lock:
            thing = self.books.objects[reference]
            intent = reference if thing["object"] == "payment_intent" else self._intent(thing)
            charge = self.books.objects[self.books.objects[intent]["latest_charge"]]
            charge["disputed"] = True
            made = self.books.make(
                "dp", "dispute", amount=charge["amount"], currency=charge["currency"], charge=charge["id"],
                payment_intent=intent, reason="fraudulent", status=status, metadata={},
            )  # fmt: skip
            self.books.tell("charge.dispute.created", made)
            return made

    def close_dispute(self, dispute_id: str, status: str) -> Thing:
        """``won``, ``lost`` or ``warning_closed``."""
        with self.lock:
            dispute = self.books.find(dispute_id, "dispute")
            dispute["status"] = status
            self.books.hidden(self.books.objects[dispute["charge"]])["won"] = status == "won"
            self.books.tell("charge.dispute.closed", dispute)
            return dispute

    def remove_customer(self, customer_id: str) -> Any:
        """In the dashboard; their subscriptions end."""
        with self.lock:
            self.books.objects[customer_id]["deleted"] = True
            for subscription in self.books.all("subscription", customer=customer_id):
                if subscription["status"] != "canceled":
                    self.books.end(subscription)
