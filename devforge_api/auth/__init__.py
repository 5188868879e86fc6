"""Auth: signing in, and what follows from it.

A *session* is one sign-in on one device. Its *refresh token* is a JWT derived from the row alone
(counter, issue time), so nothing secret is stored and a lost answer can be given again. Each use
*rotates* it: the counter moves, the token before is its *parent*. A parent used again within ten
seconds gets the same successor; anything older means theft, and ends the session. An *access
token* names session and token version; both are checked on every request.
"""
