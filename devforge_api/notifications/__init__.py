"""What users are told, and by which way.

A *notification* is told to one user about one piece of news, of a *kind* (licences, billing, …). It
goes out by *channels*: in the app, by mail, by Web Push. A *preference* says for a kind and a channel
whether it does; without one the kind's default holds. A *push subscription* is a browser that takes
Web Push messages. The *feed* is what a user's open windows are shown (core/realtime); a *ticket* opens
one stream of it, once, within a minute.

Invariants: one notification for each piece of news and user, and by each channel at most one message
of it (a letter's Message-ID and a push message's tag are the notification's). Whoever has
unsubscribed, or whose address is on the suppression list, gets no letter.
"""
