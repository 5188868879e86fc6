"""What the page of unsubscribing says, in each language that pages are written in."""

from __future__ import annotations

from devforge_api.core.pages import Words

EN = {
    "error": "That did not work",
    "UNSUBSCRIBE_LINK_INVALID": "This link is not complete. Open it from the letter once more.",
    "RATE_LIMITED": "Too many attempts. Wait a minute, then try again.",
    "MAINTENANCE": "We are working on the service. Try again later.",
    "unknown": "Something went wrong. Please try again.",
    "ask": "No more letters?",
    "ask_text": "You will get no more letters about {kind}. What is in the app stays.",
    "no_more": "No more letters",
    "done": "Done",
    "done_text": "You get no more letters about {kind}. You can turn them on again in the app's settings.",
    "account": "your account",
    "licenses": "licences",
    "billing": "payments",
    "releases": "new versions",
    "files": "files",
    "webhooks": "webhooks",
}
DE = {
    "error": "Das hat nicht geklappt",
    "UNSUBSCRIBE_LINK_INVALID": "Dieser Link ist nicht vollständig. Öffnen Sie ihn im Brief noch einmal.",
    "RATE_LIMITED": "Zu viele Versuche. Warten Sie eine Minute, und versuchen Sie es wieder.",
    "MAINTENANCE": "Wir arbeiten gerade am Dienst. Versuchen Sie es später noch einmal.",
    "unknown": "Etwas ist schiefgegangen. Bitte versuchen Sie es noch einmal.",
    "ask": "Keine Briefe mehr?",
    "ask_text": "Sie erhalten dann keine Briefe mehr über {kind}. Was in der App steht, bleibt.",
    "no_more": "Keine Briefe mehr",
    "done": "Erledigt",
    "done_text": "Sie erhalten keine Briefe mehr über {kind}. In den Einstellungen der App können Sie sie "
    "wieder einschalten.",
    "account": "Ihr Konto",
    "licenses": "Lizenzen",
    "billing": "Zahlungen",
    "releases": "neue Versionen",
    "files": "Dateien",
    "webhooks": "Webhooks",
}
WORDS = {"en": Words(EN), "de": Words(DE)}
