"""What the pages of signing in say, in each language that pages are written in."""

from __future__ import annotations

EN = {
    "sign_in": "Sign in",
    "sign_in_to": "Sign in to continue to {client}",
    "email": "Email address",
    "password": "Password",
    "forgot": "Forgot your password?",
    "create": "Create an account",
    "code": "Code",
    "code_hint": "From your authenticator app, or one of your recovery codes.",
    "second_factor": "One more step",
    "verify": "Continue",
    "consent": "Continue to {client}?",
    "consent_as": "You are signed in as",
    "consent_what": "This signs in {client} on your device. It can do there whatever you can do in your "
    "account.",
    "consent_care": "Only continue if you have just started this from {client} yourself.",
    "allow": "Continue",
    "deny": "Cancel",
    "other_account": "Use another account",
    "sign_out": "Sign out",
    "signed_out": "You are signed out",
    "signed_out_text": "This browser holds no session any more.",
    "device": "Connect a device",
    "device_text": "Enter the code that your device shows.",
    "device_hint": "Eight letters, such as BCDF-GHJK.",
    "next": "Next",
    "device_consent": "Sign in {client}?",
    "device_code": "The code on its screen",
    "device_address": "Asked from the address",
    "device_care": "Only continue if you have this device before you, and it shows this code. Nobody from "
    "Dev Forge "
    "will ever send you a code.",
    "device_allow": "Sign in this device",
    "device_done": "The device is connected",
    "device_done_text": "{client} goes on by itself. You can close this page.",
    "device_denied": "The device was turned away",
    "device_denied_text": "It gets no access to your account.",
    "leaving": "Back to {client}",
    "leaving_text": "You can close this page once {client} has opened.",
    "open": "Open {client}",
    "error": "That did not work",
    "bad_client": "The application that sent you here is not known, or wants the answer at an address that "
    "is not "
    "its own. Nothing was signed in.",
    "stale": "This page was out of date. Please try again.",
    "FORM_REFUSED": "This page was out of date. Please try again.",
    "INVALID_CREDENTIALS": "Address or password is wrong.",
    "VALIDATION_ERROR": "Enter your email address and your password.",
    "ACCOUNT_DISABLED": "This account is disabled; ask support.",
    "EMAIL_NOT_VERIFIED": "Verify your address first: open the link in the mail that we sent you.",
    "RATE_LIMITED": "Too many attempts. Wait a minute, then try again.",
    "SERVICE_UNAVAILABLE": "This does not work at the moment. Try again shortly.",
    "MAINTENANCE": "We are working on the service, and nobody can sign in meanwhile. Try again later.",
    "NOT_FOUND": "There is no such page. Look at the address again.",
    "MFA_CODE_INVALID": "This code is wrong, or was used before.",
    "MFA_CHALLENGE_INVALID": "This took too long, or failed too often. Sign in again.",
    "DEVICE_CODE_INVALID": "No device waits for this code. Look at its screen again.",
    "PROVIDER_DENIED": "You were not signed in there. Try again, or sign in in another way.",
    "PROVIDER_UNAVAILABLE": "The provider does not answer. Try again shortly, or sign in in another way.",
    "PROVIDER_ANSWER_INVALID": "The provider's answer cannot be trusted; nobody was signed in.",
    "PROVIDER_NOT_FOUND": "One cannot sign in by this provider. Go back, and sign in in another way.",
    "PROVIDER_STATE_INVALID": "This sign-in began in another browser, is over, or took too long. Go back to "
    "where you began, and begin again.",
    "PROVIDER_EMAIL_MISSING": "The provider tells no address of yours, and an account needs one.",
    "LINK_REQUIRED": "Your address has an account already. Sign in to it, then link the provider there.",
    "unknown": "Something went wrong. Please try again.",
}
DE = {
    "sign_in": "Anmelden",
    "sign_in_to": "Melden Sie sich an, um zu {client} zu gelangen",
    "email": "E-Mail-Adresse",
    "password": "Passwort",
    "forgot": "Passwort vergessen?",
    "create": "Konto anlegen",
    "code": "Code",
    "code_hint": "Aus Ihrer Authenticator-App, oder einer Ihrer Wiederherstellungscodes.",
    "second_factor": "Noch ein Schritt",
    "verify": "Weiter",
    "consent": "Weiter zu {client}?",
    "consent_as": "Sie sind angemeldet als",
    "consent_what": "Damit wird {client} auf Ihrem Gerät angemeldet und darf dort alles, was Sie in Ihrem "
    "Konto dürfen.",
    "consent_care": "Machen Sie nur weiter, wenn Sie das gerade selbst in {client} begonnen haben.",
    "allow": "Weiter",
    "deny": "Abbrechen",
    "other_account": "Anderes Konto verwenden",
    "sign_out": "Abmelden",
    "signed_out": "Sie sind abgemeldet",
    "signed_out_text": "Dieser Browser hat keine Sitzung mehr.",
    "device": "Ein Gerät verbinden",
    "device_text": "Geben Sie den Code ein, den Ihr Gerät anzeigt.",
    "device_hint": "Acht Buchstaben, zum Beispiel BCDF-GHJK.",
    "next": "Weiter",
    "device_consent": "{client} anmelden?",
    "device_code": "Der Code auf seinem Bildschirm",
    "device_address": "Angefragt von der Adresse",
    "device_care": "Machen Sie nur weiter, wenn Sie dieses Gerät vor sich haben und es diesen Code anzeigt. "
    "Niemand von Dev Forge schickt Ihnen je einen Code.",
    "device_allow": "Dieses Gerät anmelden",
    "device_done": "Das Gerät ist verbunden",
    "device_done_text": "{client} macht von selbst weiter. Sie können diese Seite schließen.",
    "device_denied": "Das Gerät wurde abgewiesen",
    "device_denied_text": "Es bekommt keinen Zugang zu Ihrem Konto.",
    "leaving": "Zurück zu {client}",
    "leaving_text": "Sie können diese Seite schließen, sobald {client} sich geöffnet hat.",
    "open": "{client} öffnen",
    "error": "Das hat nicht geklappt",
    "bad_client": "Die Anwendung, die Sie hierher geschickt hat, ist nicht bekannt oder will die Antwort "
    "an einer fremden Adresse. Es wurde nichts angemeldet.",
    "stale": "Diese Seite war veraltet. Bitte versuchen Sie es noch einmal.",
    "FORM_REFUSED": "Diese Seite war veraltet. Bitte versuchen Sie es noch einmal.",
    "INVALID_CREDENTIALS": "Adresse oder Passwort ist falsch.",
    "VALIDATION_ERROR": "Geben Sie Ihre E-Mail-Adresse und Ihr Passwort ein.",
    "ACCOUNT_DISABLED": "Dieses Konto ist gesperrt; fragen Sie den Support.",
    "EMAIL_NOT_VERIFIED": "Bestätigen Sie zuerst Ihre Adresse: mit dem Link in der Mail, die wir Ihnen "
    "geschickt haben.",
    "RATE_LIMITED": "Zu viele Versuche. Warten Sie eine Minute und versuchen Sie es dann noch einmal.",
    "SERVICE_UNAVAILABLE": "Das geht im Moment nicht. Versuchen Sie es gleich noch einmal.",
    "MAINTENANCE": "Wir arbeiten am Dienst, und so lange kann sich niemand anmelden. Versuchen Sie es später "
    "noch einmal.",
    "NOT_FOUND": "Diese Seite gibt es nicht. Sehen Sie noch einmal auf die Adresse.",
    "MFA_CODE_INVALID": "Dieser Code ist falsch oder wurde schon benutzt.",
    "MFA_CHALLENGE_INVALID": "Das hat zu lange gedauert oder ist zu oft misslungen. Melden Sie sich "
    "noch einmal an.",
    "DEVICE_CODE_INVALID": "Auf diesen Code wartet kein Gerät. Sehen Sie noch einmal auf seinen Bildschirm.",
    "PROVIDER_DENIED": "Sie wurden dort nicht angemeldet. Versuchen Sie es noch einmal oder auf anderem Weg.",
    "PROVIDER_UNAVAILABLE": "Der Anbieter antwortet nicht. Versuchen Sie es gleich wieder oder auf anderem "
    "Weg.",
    "PROVIDER_ANSWER_INVALID": "Der Antwort des Anbieters ist nicht zu trauen; niemand wurde angemeldet.",
    "PROVIDER_NOT_FOUND": "Bei diesem Anbieter kann man sich hier nicht anmelden. Gehen Sie zurück und "
    "nehmen Sie einen anderen Weg.",
    "PROVIDER_STATE_INVALID": "Diese Anmeldung begann in einem anderen Browser, ist vorbei oder hat zu lange "
    "gedauert. Gehen Sie dahin zurück, wo Sie begonnen haben, und beginnen Sie noch einmal.",
    "PROVIDER_EMAIL_MISSING": "Der Anbieter nennt keine Adresse von Ihnen, und ein Konto braucht eine.",
    "LINK_REQUIRED": "Ihre Adresse hat schon ein Konto. Melden Sie sich dort an und verknüpfen Sie "
    "den Anbieter dann.",
    "unknown": "Etwas ist schiefgegangen. Bitte versuchen Sie es noch einmal.",
}
WORDS = {"en": EN, "de": DE}


class Words:
    """The words of one language: ``words("consent", client="…")`` in a template."""

    def __init__(self, language: str) -> None:
        self._words = WORDS[language]

    def __call__(self, key: str, **values: str) -> str:
        """A text; an error's code that has no words of its own gets general ones."""
        return self._words.get(key, self._words["unknown"]).format(**values)
