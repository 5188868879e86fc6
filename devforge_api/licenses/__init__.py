"""Licences: what a customer may use, on which machines, and for how long.

A *product* has *policies* (plans: how many machines, how long, which *entitlements*). A
*licence* is one customer's copy of a policy, held as a *key*: found by hash, stored encrypted,
shown in full to its owner. A *machine* takes a *seat*, by its fingerprint; ``machine_count``
never exceeds the policy's limit, whoever asks at once. Validation answers with a *verdict*: the
first failing check, in a fixed order.
"""
