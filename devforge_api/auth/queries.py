"""What can be read about sessions and sign-ins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, case, func, or_, select

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.errors import (
    AccessTokenNotFound,
    IdentityNotFound,
    ServiceAccountNotFound,
    SessionNotFound,
)
from devforge_api.auth.models import (
    DeviceGrant,
    GrantStatus,
    Identity,
    OneTimeToken,
    PersonalAccessToken,
    Purpose,
    RecoveryCode,
    ServiceAccount,
    Session,
    TotpFactor,
)
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.core.statements import Prepared
from devforge_api.users.models import Role, User, UserStatus

# Beside everything that auth does to an account: what its owner should recognise, or not.
ACCOUNT_ACTIONS = (
    "user.created", "user.email_verified", "user.email_changed", "user.exported", "user.terms_accepted",
    "user.unlocked",
)  # fmt: skip

# After these, codes that were guessed before are of no use to anybody, or an operator forgives them.
NEW_SECRETS = (
    "user.unlocked", "auth.account_claimed", "auth.mfa_enabled", "auth.password_changed",
    "auth.password_reset",
)  # fmt: skip

SESSIONS = Listing(
    "SessionQuery",
    key=Session.id,
    filters={"created_at": Session.created_at},
    sorts={"created_at": Session.created_at},
)
ACCESS_TOKENS = Listing(
    "AccessTokenQuery",
    key=PersonalAccessToken.id,
    filters={
        "created_at": PersonalAccessToken.created_at,
        "expires_at": PersonalAccessToken.expires_at,
        "service_account_id": PersonalAccessToken.service_account_id,
    },
    sorts={"created_at": PersonalAccessToken.created_at},
)
SERVICE_ACCOUNTS = Listing(
    "ServiceAccountQuery",
    key=ServiceAccount.id,
    filters={"created_at": ServiceAccount.created_at},
    sorts={"created_at": ServiceAccount.created_at},
)
IDENTITIES = Listing(
    "IdentityQuery",
    key=Identity.id,
    filters={"created_at": Identity.created_at},
    sorts={"created_at": Identity.created_at},
)
ACTIVITY = Listing(
    "ActivityQuery",
    key=AuditEvent.id,
    filters={"action": AuditEvent.action, "created_at": AuditEvent.created_at},
    sorts={"created_at": AuditEvent.created_at},
)


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A session that a browser holds, and whose it is."""

    id: UUID
    user_id: UUID
    email: str
    created_at: datetime


def live_sessions(user_id: UUID) -> Select[Session]:
    """The user's sessions that still admit."""
    return select(Session).where(
        Session.user_id == user_id, Session.revoked_at.is_(None), Session.expires_at > utc_now()
    )


def activity(user_id: UUID) -> Select[AuditEvent]:
    """The user's sign-ins, failed ones too, and every change of the ways into the account."""
    by_auth = AuditEvent.action.startswith("auth.", autoescape=True)
    about = and_(AuditEvent.target_id == user_id, or_(by_auth, AuditEvent.action.in_(ACCOUNT_ACTIONS)))
    of_a_part = and_(AuditEvent.actor_id == user_id, AuditEvent.target_type != "user", by_auth)  # a token's
    return select(AuditEvent).where(or_(about, of_a_part))


def get_session(session_id: UUID, *, user_id: UUID) -> Session:
    """One of the user's sessions, locked until commit.

    :raises SessionNotFound: unknown, another's, or over.
    """
    session = db.session.scalar(
        select(Session).where(Session.id == session_id, Session.user_id == user_id).with_for_update()
    )
    if session is None or not session.is_live(utc_now()):
        raise SessionNotFound
    return session


def find_session(session_id: UUID) -> Session | None:
    """Any session, if it is still there."""
    return db.session.get(Session, session_id)


def find_browser_session(cookie_hash: str) -> BrowserSession | None:
    """The session that a browser holds by its cookie, while session and user admit, by one query."""
    statement = (
        select(Session.id, User.id, User.email, Session.created_at)
        .join(User, User.id == Session.user_id)
        .where(
            Session.cookie_hash == cookie_hash,
            Session.revoked_at.is_(None),
            Session.expires_at > utc_now(),
            User.status == UserStatus.ACTIVE,
        )
    )
    row = db.session.execute(statement).first()
    return BrowserSession(*row) if row else None


def find_authorization_code(code_hash: str) -> OneTimeToken | None:
    """An authorization code as it was issued, used up or not."""
    return db.session.scalar(
        select(OneTimeToken).where(
            OneTimeToken.token_hash == code_hash, OneTimeToken.purpose == Purpose.AUTHORIZATION_CODE
        )
    )


def find_device_grant(device_code_hash: str) -> DeviceGrant | None:
    """The grant that a device asks about."""
    return db.session.scalar(select(DeviceGrant).where(DeviceGrant.device_code_hash == device_code_hash))


def find_pending_grant(user_code: str) -> DeviceGrant | None:
    """The grant that waits for this code to be typed."""
    return db.session.scalar(
        select(DeviceGrant).where(
            DeviceGrant.user_code == user_code,
            DeviceGrant.status == GrantStatus.PENDING,
            DeviceGrant.expires_at > utc_now(),
        )
    )


# Runs on every request without Redis: built once.
_ADMITTING = (
    select(User)
    .join(Session, Session.user_id == User.id)
    .where(
        Session.id == bindparam("session_id"),
        User.id == bindparam("user_id"),
        Session.revoked_at.is_(None),
        Session.expires_at > bindparam("now"),
    )
)


def find_admitting(session_id: UUID, user_id: UUID) -> User | None:
    """The user of a session that still admits, by one query."""
    values = {"session_id": session_id, "user_id": user_id, "now": utc_now()}
    return db.session.scalar(_ADMITTING, values)


def has_second_factor(user_id: UUID) -> bool:
    """Whether a sign-in of the user waits for a code."""
    factor = select(TotpFactor.id).where(TotpFactor.user_id == user_id, TotpFactor.confirmed_at.is_not(None))
    return db.session.scalar(factor) is not None


def proven_at(session_id: UUID) -> datetime | None:
    """When the session's user last proved who they are, for what asks for it anew.

    Where there is no password to ask for, signing in by the provider is the proof.
    """
    anew = case(
        (User.password_hash.is_(None), func.coalesce(Session.reauthenticated_at, Session.created_at)),
        else_=Session.reauthenticated_at,
    )
    statement = select(anew).join(User, User.id == Session.user_id).where(Session.id == session_id)
    return db.session.scalar(statement)


def find_factor(user_id: UUID) -> TotpFactor | None:
    """The user's authenticator app, confirmed or not."""
    return db.session.scalar(select(TotpFactor).where(TotpFactor.user_id == user_id))


def second_factor(user_id: UUID) -> tuple[datetime | None, int]:
    """When the second factor was confirmed, and how many recovery codes are left."""
    left = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    confirmed_at = select(TotpFactor.confirmed_at).where(TotpFactor.user_id == user_id).scalar_subquery()
    return db.session.execute(select(confirmed_at, left.scalar_subquery())).one()


def failed_codes(user_id: UUID, *, since: datetime, limit: int) -> list[datetime]:
    """When the user's second factor was failed last, newest first.

    Up to the moment at which whoever failed had to begin anew: another factor, another password, or an
    account that was unlocked.
    """
    statement = (
        select(AuditEvent.action, AuditEvent.created_at)
        .where(
            AuditEvent.target_id == user_id,
            AuditEvent.created_at > since,
            AuditEvent.action.in_(("auth.mfa_failed", *NEW_SECRETS)),
        )
        .order_by(AuditEvent.created_at.desc(), AuditEvent.id.desc())
        .limit(limit)
    )
    rows = db.session.execute(statement)
    return [at for action, at in takewhile(lambda row: row.action not in NEW_SECRETS, rows)]


@dataclass(frozen=True, slots=True)
class TokenInUse:
    """What decides whether a personal access token admits, and to what."""

    id: UUID
    user_id: UUID
    scopes: list[str]
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    role: Role
    status: UserStatus
    token_version: int
    account_enabled: bool | None  # None: of no service account
    account_scopes: list[str] | None


_TOKEN = Prepared(
    select(
        PersonalAccessToken.id, PersonalAccessToken.user_id, PersonalAccessToken.scopes,
        PersonalAccessToken.expires_at, PersonalAccessToken.revoked_at, PersonalAccessToken.last_used_at,
        User.role, User.status, User.token_version, ServiceAccount.enabled,
        ServiceAccount.scopes.label("account_scopes"),
    )
    .join(User, User.id == PersonalAccessToken.user_id)
    .outerjoin(ServiceAccount, ServiceAccount.id == PersonalAccessToken.service_account_id)
    .where(PersonalAccessToken.token_hash == bindparam("token_hash")),
    TokenInUse,
)  # fmt: skip


def find_token(token_hash: str) -> TokenInUse | None:
    """A personal access token with its user and its service account, by one query."""
    return _TOKEN.first(token_hash=token_hash)


def access_tokens(user_id: UUID) -> Select[PersonalAccessToken]:
    """The user's tokens that nobody has revoked."""
    return select(PersonalAccessToken).where(
        PersonalAccessToken.user_id == user_id, PersonalAccessToken.revoked_at.is_(None)
    )


def get_access_token(
    token_id: UUID, *, user_id: UUID | None, for_update: bool = False
) -> PersonalAccessToken:
    """One token that nobody has revoked.

    :param user_id: whose it must be; None for the operator.
    :raises AccessTokenNotFound: unknown, another's, or revoked.
    """
    token = PersonalAccessToken
    statement = select(token).where(token.id == token_id, token.revoked_at.is_(None))
    if user_id is not None:
        statement = statement.where(token.user_id == user_id)
    found = db.session.scalar(statement.with_for_update() if for_update else statement)
    if found is None:
        raise AccessTokenNotFound
    return found


def count_live_tokens(user_id: UUID, now: datetime) -> int:
    """How many of the user's tokens still admit."""
    live = access_tokens(user_id).where(PersonalAccessToken.expires_at > now)
    return db.session.scalar(select(func.count()).select_from(live.subquery())) or 0


def service_accounts(owner_id: UUID) -> Select[ServiceAccount]:
    """The owner's machines and agents."""
    return select(ServiceAccount).where(ServiceAccount.owner_id == owner_id)


def count_service_accounts(owner_id: UUID) -> int:
    """How many the owner has."""
    return db.session.scalar(select(func.count()).select_from(service_accounts(owner_id).subquery())) or 0


def get_service_account(account_id: UUID, *, owner_id: UUID, for_update: bool = False) -> ServiceAccount:
    """One of the owner's machines and agents.

    :raises ServiceAccountNotFound: unknown, or another's.
    """
    statement = service_accounts(owner_id).where(ServiceAccount.id == account_id)
    found = db.session.scalar(statement.with_for_update() if for_update else statement)
    if found is None:
        raise ServiceAccountNotFound
    return found


def identities(user_id: UUID) -> Select[Identity]:
    """The accounts elsewhere by which the user signs in."""
    return select(Identity).where(Identity.user_id == user_id)


def get_identity(identity_id: UUID, *, user_id: UUID) -> Identity:
    """One of the user's identities.

    :raises IdentityNotFound: unknown, or another's.
    """
    found = db.session.scalar(identities(user_id).where(Identity.id == identity_id))
    if found is None:
        raise IdentityNotFound
    return found


def find_identity(provider: str, subject: str) -> Identity | None:
    """A provider's user, if that one signs in here."""
    return db.session.scalar(
        select(Identity)
        .where(Identity.provider == provider, Identity.subject == subject)
        .execution_options(populate_existing=True)  # another transaction may have been faster
    )
