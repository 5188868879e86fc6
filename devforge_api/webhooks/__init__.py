"""Webhooks that we send: users' own programs are told the news (Standard Webhooks 1.0.0).

An *endpoint* is an address of a user's, with a *secret* that signs what is sent there, and a *filter*
of events (none: all). A *message* is one piece of news as it is sent, to however many endpoints; a
*delivery* is the message's way to one endpoint, over several *attempts*.

Invariants: an endpoint gets its owner's news only; one of an admin may be given everybody's. A
message goes to an endpoint at most as one delivery, whose id and body stay the same over all
attempts. No attempt reaches an address inside our own network, whatever its name resolves to at that
moment. An endpoint that is gone (410), or has failed for five days, is disabled and its owner told.
"""
