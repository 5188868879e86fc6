"""What notifications say: a title and a body for each event, in each language.

``{name}`` puts in what stands in the news' data; ``{name:day}`` a moment's day, ``{name:money}`` an
amount in minor units of the data's currency. An event with several texts has them by variants,
``event/variant``. Nothing is put in that a stranger could have written.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devforge_api.billing.service.amounts import shown


@dataclass(frozen=True, slots=True)
class Text:
    """What a notification says."""

    title: str
    body: str


EN: dict[str, tuple[str, str]] = {
    "auth.identity_linked": ("New way to sign in", "You can now sign in by {provider}."),
    "auth.identity_unlinked": ("One way less to sign in", "You can no longer sign in by {provider}."),
    "auth.mfa_disabled": (
        "Second factor turned off",
        "Your password alone signs in now. If this was not you, change it at once.",
    ),
    "auth.mfa_enabled": ("Second factor turned on", "Signing in now also takes a code from your app."),
    "auth.new_device": (
        "New device signed in",
        "A device that we had not seen before has signed in. If this was not you, change your password.",
    ),
    "auth.password_changed": (
        "Password changed",
        "Your password was changed. If this was not you, ask for a new one at once.",
    ),
    "auth.recovery_code_used": (
        "Recovery code used",
        "A recovery code stood in for your second factor. It does not work again.",
    ),
    "auth.reuse_detected": (
        "Session ended for safety",
        "Somebody used a copy of a session's keys. We have ended that session.",
    ),
    "auth.token_created": ("Access token made", "A new access token for a tool acts in your name."),
    "user.email_changed": ("Address changed", "Your account has another mail address now."),
    "license.deleted": ("Licence removed", "A licence of yours was removed."),
    "license.entitlements_changed": (
        "Features changed",
        "Your licence for {product_name} ({policy}) has other features now.",
    ),
    "license.expired": (
        "Your licence for {product_name} has expired",
        "Your licence for {product_name} ({policy}) has expired. Renew it to go on.",
    ),
    "license.issued": ("New licence", "You have a licence for {product_name} ({policy})."),
    "license.key_rotated": (
        "New licence key",
        "Your licence for {product_name} has a new key; the old one works no longer.",
    ),
    "license.reinstated": ("Licence works again", "Your licence for {product_name} ({policy}) works again."),
    "license.renewed/until": (
        "Licence renewed",
        "Your licence for {product_name} ({policy}) is valid until {expires_at:day}.",
    ),
    "license.renewed/endless": (
        "Licence renewed",
        "Your licence for {product_name} ({policy}) is valid without end.",
    ),
    "license.revoked": ("Licence ended", "Your licence for {product_name} ({policy}) has ended for good."),
    "license.suspended": (
        "Licence suspended",
        "Your licence for {product_name} ({policy}) does not work at present.",
    ),
    "license.taken_over": (
        "Seat moved",
        "A device has taken the seat of another one on your licence for {product_name}.",
    ),
    "license.transferred": (
        "Licence transferred",
        "A licence for {product_name} is now yours on the plan {policy}.",
    ),
    "order.disputed": (
        "Payment disputed",
        "Your bank takes the payment of {amount:money} back. Until that is settled your licences rest.",
    ),
    "order.failed": ("Payment failed", "The payment of {amount:money} for your order has failed."),
    "order.paid": ("Order paid", "Your order of {amount:money} is settled. Thank you!"),
    "payment.failed": (
        "Payment failed",
        "A payment of {amount:money} has failed. Please look at your card.",
    ),
    "payment.refunded": ("Refund", "{amount:money} were given back to you."),
    "subscription.changed/past_due": (
        "Subscription unpaid",
        "The last payment of your subscription has failed. Please look at your card.",
    ),
    "subscription.changed/unpaid": (
        "Subscription rests",
        "Your subscription is not paid, and its licences do not work until it is.",
    ),
    "subscription.changed/paused": ("Subscription paused", "Your subscription rests until it is resumed."),
    "subscription.changed/canceled": ("Subscription ended", "Your subscription has ended."),
    "subscription.changed/ending": (
        "Subscription ends",
        "Your subscription ends on {current_period_end:day}.",
    ),
    "release.available": ("{product_name} {version} is out", "A new version is ready for you: {version}."),
    "file.quarantined": (
        "File set aside",
        "A file that you uploaded was found to be harmful or broken. Nobody can open it.",
    ),
    "webhook.disabled": (
        "Webhook disabled",
        "One of your webhook endpoints does not work, and gets nothing any more until you enable it.",
    ),
}

DE: dict[str, tuple[str, str]] = {
    "auth.identity_linked": ("Neue Anmeldung", "Sie können sich jetzt über {provider} anmelden."),
    "auth.identity_unlinked": (
        "Eine Anmeldung weniger",
        "Über {provider} können Sie sich nicht mehr anmelden.",
    ),
    "auth.mfa_disabled": (
        "Zweiter Faktor abgeschaltet",
        "Das Passwort allein genügt jetzt. Waren Sie das nicht, dann ändern Sie es sofort.",
    ),
    "auth.mfa_enabled": (
        "Zweiter Faktor eingeschaltet",
        "Zur Anmeldung gehört jetzt auch ein Code aus Ihrer App.",
    ),
    "auth.new_device": (
        "Neues Gerät angemeldet",
        "Ein Gerät, das wir noch nicht kannten, hat sich angemeldet. Waren Sie das nicht, dann ändern Sie "
        "Ihr Passwort.",
    ),
    "auth.password_changed": (
        "Passwort geändert",
        "Ihr Passwort wurde geändert. Waren Sie das nicht, dann fordern Sie sofort ein neues an.",
    ),
    "auth.recovery_code_used": (
        "Notfallcode verwendet",
        "Ein Notfallcode hat Ihren zweiten Faktor ersetzt. Er gilt nicht noch einmal.",
    ),
    "auth.reuse_detected": (
        "Sitzung zur Sicherheit beendet",
        "Jemand hat eine Kopie der Schlüssel einer Sitzung verwendet. Wir haben diese Sitzung beendet.",
    ),
    "auth.token_created": (
        "Zugriffstoken erstellt",
        "Ein neues Zugriffstoken handelt für ein Werkzeug in Ihrem Namen.",
    ),
    "user.email_changed": ("Adresse geändert", "Ihr Konto hat jetzt eine andere Mailadresse."),
    "license.deleted": ("Lizenz entfernt", "Eine Ihrer Lizenzen wurde entfernt."),
    "license.entitlements_changed": (
        "Funktionen geändert",
        "Ihre Lizenz für {product_name} ({policy}) hat jetzt andere Funktionen.",
    ),
    "license.expired": (
        "Ihre Lizenz für {product_name} ist abgelaufen",
        "Ihre Lizenz für {product_name} ({policy}) ist abgelaufen. Verlängern Sie sie, um weiterzumachen.",
    ),
    "license.issued": ("Neue Lizenz", "Sie haben eine Lizenz für {product_name} ({policy})."),
    "license.key_rotated": (
        "Neuer Lizenzschlüssel",
        "Ihre Lizenz für {product_name} hat einen neuen Schlüssel; der alte gilt nicht mehr.",
    ),
    "license.reinstated": (
        "Lizenz gilt wieder",
        "Ihre Lizenz für {product_name} ({policy}) gilt wieder.",
    ),
    "license.renewed/until": (
        "Lizenz verlängert",
        "Ihre Lizenz für {product_name} ({policy}) gilt bis zum {expires_at:day}.",
    ),
    "license.renewed/endless": (
        "Lizenz verlängert",
        "Ihre Lizenz für {product_name} ({policy}) gilt ohne Ende.",
    ),
    "license.revoked": (
        "Lizenz beendet",
        "Ihre Lizenz für {product_name} ({policy}) ist endgültig beendet.",
    ),
    "license.suspended": (
        "Lizenz ausgesetzt",
        "Ihre Lizenz für {product_name} ({policy}) gilt zurzeit nicht.",
    ),
    "license.taken_over": (
        "Platz gewechselt",
        "Ein Gerät hat auf Ihrer Lizenz für {product_name} den Platz eines anderen übernommen.",
    ),
    "license.transferred": (
        "Lizenz übertragen",
        "Eine Lizenz für {product_name} gehört jetzt Ihnen, im Tarif {policy}.",
    ),
    "order.disputed": (
        "Zahlung zurückgefordert",
        "Ihre Bank holt die Zahlung über {amount:money} zurück. Bis das geklärt ist, ruhen Ihre Lizenzen.",
    ),
    "order.failed": (
        "Zahlung gescheitert",
        "Die Zahlung über {amount:money} für Ihre Bestellung ist gescheitert.",
    ),
    "order.paid": ("Bestellung bezahlt", "Ihre Bestellung über {amount:money} ist beglichen. Danke!"),
    "payment.failed": (
        "Zahlung gescheitert",
        "Eine Zahlung über {amount:money} ist gescheitert. Bitte prüfen Sie Ihre Karte.",
    ),
    "payment.refunded": ("Erstattung", "{amount:money} wurden Ihnen erstattet."),
    "subscription.changed/past_due": (
        "Abonnement nicht bezahlt",
        "Die letzte Zahlung Ihres Abonnements ist gescheitert. Bitte prüfen Sie Ihre Karte.",
    ),
    "subscription.changed/unpaid": (
        "Abonnement ruht",
        "Ihr Abonnement ist nicht bezahlt; bis dahin gelten seine Lizenzen nicht.",
    ),
    "subscription.changed/paused": (
        "Abonnement pausiert",
        "Ihr Abonnement ruht, bis es fortgesetzt wird.",
    ),
    "subscription.changed/canceled": ("Abonnement beendet", "Ihr Abonnement ist beendet."),
    "subscription.changed/ending": (
        "Abonnement endet",
        "Ihr Abonnement endet am {current_period_end:day}.",
    ),
    "release.available": (
        "{product_name} {version} ist da",
        "Eine neue Version steht für Sie bereit: {version}.",
    ),
    "file.quarantined": (
        "Datei zurückgehalten",
        "Eine Datei, die Sie hochgeladen haben, ist schädlich oder beschädigt. Niemand kann sie öffnen.",
    ),
    "webhook.disabled": (
        "Webhook abgeschaltet",
        "Einer Ihrer Webhook-Endpunkte funktioniert nicht und erhält nichts mehr, bis Sie ihn einschalten.",
    ),
}

TEXTS = {"en": EN, "de": DE}
MISSING = "?"  # of a row that was written before its text asked for this


def text_of(event: str, variant: str, language: str, data: Mapping[str, Any]) -> Text:
    """What an event says in a language.

    :raises KeyError: it has no such text.
    """
    title, body = TEXTS[language][f"{event}/{variant}" if variant else event]
    fill = _Fill()
    return Text(fill.vformat(title, (), data), fill.vformat(body, (), data))


class _Fill(string.Formatter):
    """Puts values in; only by plain names, never through attributes or indexes."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        value = kwargs.get(field_name)
        self._currency = kwargs.get("currency")
        return (MISSING if value is None else value), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if value == MISSING:
            return MISSING
        if format_spec == "day":
            return str(value)[:10]
        if format_spec == "money":
            return shown(value, self._currency) if isinstance(self._currency, str) else MISSING
        return str(value)
