"""Audit: who did what to which resource, on what occasion.

An *event* is appended in the transaction of the deed and never changed; so there is no event
without its deed, and no deed without its event. Values of secrets are never part of it.
"""
