"""Auth's tables, by topic."""

from devforge_api.auth.models.identities import Identity
from devforge_api.auth.models.native import DeviceGrant, GrantStatus
from devforge_api.auth.models.one_time import OneTimeToken, Purpose
from devforge_api.auth.models.second_factor import RecoveryCode, TotpFactor
from devforge_api.auth.models.sessions import RevokeReason, Session
from devforge_api.auth.models.tokens import PersonalAccessToken, ServiceAccount

__all__ = [
    "DeviceGrant", "GrantStatus", "Identity", "OneTimeToken", "PersonalAccessToken", "Purpose",
    "RecoveryCode", "RevokeReason", "ServiceAccount", "Session", "TotpFactor",
]  # fmt: skip
