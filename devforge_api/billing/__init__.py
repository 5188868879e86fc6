"""Billing: from checkout to licence.

Words. A *price* sells a policy, once or every month or year. An *order* is one checkout: its *items*
are bought once and for all, or kept going by a *subscription*. *Payments*, *refunds* and *disputes*
are what the provider tells of an order's money. A *provider* takes the money: Stripe, or a built-in
one for trying things out. A *snapshot* is what the provider says of one order at one moment.

Invariants. Whatever happens (a webhook, a poll, a repair) leads to the same two steps: *look* at the
order at its provider, and *settle* it, in one transaction that is right however often and in whatever
order it comes. A look has a number, given before it begins; an older one never overwrites what a
newer one has settled. What licences should be is a function of what is recorded (`service/standing`),
never of the event that brought the news. An item's licences are made once: the database holds one row
for each piece. Every movement of money is posted to the ledger once, in lines whose sum is zero.
Amounts are whole minor units (cents) of a currency of ISO 4217.
"""
