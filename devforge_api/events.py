"""The event catalogue: every name that `emit` takes, what it means and what its payload holds.

Payload values are strings, or JSON as stated. Ids are of the resource in the name.
"""

from devforge_api.core.outbox import EventType


def _event(meaning: str, *keys: str) -> EventType:
    return EventType(meaning, frozenset(keys))


EVENTS: dict[str, EventType] = {
    "auth.denied": _event("A session or token version was revoked; repeats the denial.", "key", "value"),
    "auth.identity_linked": _event("A provider's identity became a way to sign in.", "user_id", "provider"),
    "auth.identity_unlinked": _event("A provider's identity signs in no longer.", "user_id", "provider"),
    "auth.mfa_disabled": _event("A user turned the second factor off.", "user_id"),
    "auth.mfa_enabled": _event("A user turned the second factor on.", "user_id"),
    "auth.new_device": _event("A device signed in that was not known.", "user_id", "session_id"),
    "auth.password_changed": _event("A user changed the password, or reset it.", "user_id"),
    "auth.password_forgotten": _event(
        "Somebody asked for a new password; the address is encrypted.", "email"
    ),
    "auth.recovery_code_used": _event("A recovery code stood in for the second factor.", "user_id"),
    "auth.register_attempted": _event("Somebody registered with a user's address again.", "user_id"),
    "auth.resend_requested": _event(
        "Somebody asked for the verification letter again; the address is encrypted.", "email"
    ),
    "auth.reuse_detected": _event(
        "An old refresh token was used; its session ended.", "user_id", "session_id"
    ),
    "auth.signed_in": _event("A user opened a session.", "user_id", "session_id"),
    "auth.token_created": _event("A personal access token was made.", "user_id", "token_id"),
    "auth.verification_requested": _event("A new user must verify the address.", "user_id"),
    "billing.cancel_requested": _event("A subscription is to end at its provider.", "subscription_id"),
    "billing.close_requested": _event("An order's page is to be closed at its provider.", "order_id"),
    "billing.event_received": _event("A payment provider has told something.", "event_id"),
    "billing.look_requested": _event("An order is to be looked at at its provider.", "order_id"),
    "billing.news_wanted": _event(
        "A provider's events of some hours are to be heard again.", "provider", "since", "until"
    ),
    "billing.refund_requested": _event("Money is to be given back.", "refund_id"),
    "file.available": _event("A file was looked through and can be had.", "file_id"),
    "file.quarantined": _event("A file was found to be harmful or broken.", "file_id"),
    "file.unfinished": _event("A file waits to be looked through, as nobody does it.", "file_id"),
    "file.orphans_due": _event(
        "Contents behind a key are to be looked through for those that no row names.", "after_key"
    ),
    "file.content_unneeded": _event("Contents in the storage that no row names; a list of keys.", "keys"),
    "mail.requested": _event("A letter is to be sent.", "mail_id"),
    "license.activated": _event("A machine took a seat.", "license_id", "machine_id"),
    "license.checked_in": _event("A licence that was overdue has been heard of.", "license_id"),
    "license.deactivated": _event("A machine gave its seat back.", "license_id", "machine_id"),
    "license.deleted": _event(
        "A licence was removed; with its owner, or nothing where it had none.", "license_id", "user_id"
    ),
    "license.entitlements_changed": _event("A licence has other features of its own.", "license_id"),
    "license.expired": _event("A licence's expiry has passed.", "license_id"),
    "license.fulfilled": _event("A licence whose order was pending works now.", "license_id"),
    "license.issued": _event("A licence was made.", "license_id"),
    "license.key_rotated": _event("A licence has a new key.", "license_id"),
    "license.machine_died": _event("A machine's heartbeat stopped.", "license_id", "machine_id"),
    "license.machine_revived": _event("A dead machine's heartbeat is back.", "license_id", "machine_id"),
    "license.reinstated": _event("A suspended licence works again.", "license_id"),
    "license.renewed": _event("A licence's expiry moved.", "license_id"),
    "license.revoked": _event("A licence ended for good.", "license_id"),
    "license.suspended": _event("A licence stopped working until reinstated.", "license_id"),
    "license.taken_over": _event(
        "A machine took the seat of another one.", "license_id", "machine_id", "former_machine_id"
    ),
    "license.transferred": _event("A licence has another owner or policy.", "license_id"),
    "license.updated": _event("A licence's limits, owner, expiry or metadata changed.", "license_id"),
    "license.used": _event("Uses of a licence were counted.", "license_id"),
    "license.users_changed": _event("Other people may use a licence.", "license_id"),
    "order.canceled": _event("An order will not be paid any more.", "order_id"),
    "order.created": _event("A checkout has begun.", "order_id"),
    "order.disputed": _event("A payer's bank takes a payment back.", "order_id"),
    "order.failed": _event("An order's payment has failed for good.", "order_id"),
    "order.paid": _event("An order is paid: its licences work, or work again.", "order_id"),
    "order.refunded": _event("An order's money was given back.", "order_id"),
    "payment.failed": _event("A payment of a subscription has failed.", "order_id", "payment_id"),
    "payment.paid": _event("Money has come in.", "order_id", "payment_id"),
    "payment.refunded": _event("Money was given back, wholly or in part.", "order_id", "refund_id"),
    "notification.push_due": _event("A push message is to be sent.", "notification_id", "subscription_id"),
    "release.available": _event(
        "A version of a product is out, for these of its users (a list of ids).",
        "release_id",
        "product_id",
        "user_ids",
    ),
    "release.spread_on": _event(
        "The product's users after this one are to be told of a version.", "release_id", "after_user_id"
    ),
    "release.published": _event("A version of a product is out.", "release_id", "product_id"),
    "release.yanked": _event("A version of a product was withdrawn.", "release_id", "product_id"),
    "subscription.changed": _event(
        "A subscription began, ended, moved to another price, or is to end.", "order_id", "subscription_id"
    ),
    "user.created": _event("An account was made.", "user_id"),
    "user.deleted": _event("An account was removed.", "user_id"),
    "user.disabled": _event("An account was banned.", "user_id"),
    "user.enabled": _event("An account is banned no longer.", "user_id"),
    "user.email_changed": _event("An account has another address.", "user_id"),
    "user.email_verified": _event("An address is known to be its user's.", "user_id"),
    "webhook.delivery_due": _event("A message is to be sent to an endpoint.", "delivery_id"),
    "webhook.disabled": _event("An endpoint was disabled, and not by its owner.", "endpoint_id"),
    "webhook.endpoint_due": _event("What was parked for an endpoint may go on.", "endpoint_id"),
}
