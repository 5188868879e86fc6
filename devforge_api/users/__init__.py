"""Users: the people who have an account.

A user is found by *email key* (the address in NFC, case-folded), which is unique. *Role* says
what they may do; *status* whether they may act at all. *Token version* counts the moments from
which older access tokens must not be accepted. There is always at least one active admin.
"""
