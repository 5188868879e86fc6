"""What users want to be told by which channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete

from devforge_api.core.db import db, insert_into
from devforge_api.core.errors import ValidationFailed
from devforge_api.notifications import queries
from devforge_api.notifications.catalogue import DEFAULTS
from devforge_api.notifications.models import Channel, Kind, Preference
from devforge_api.users import service as users

Table = dict[str, dict[str, bool]]


@dataclass(frozen=True, slots=True)
class Preferences:
    """Every kind and channel.

    :param chosen: what holds for the user. :param defaults: what would without a choice.
    :param fixed: where nobody can choose.
    """

    chosen: Table
    defaults: Table
    fixed: Table


def of_user(user_id: UUID) -> Preferences:
    """The whole table, as it holds for a user."""
    own = queries.all_preferences(user_id)
    chosen: Table = {}
    for kind, choices in DEFAULTS.items():
        chosen[kind.value] = {
            channel.value: choice.enabled if choice.fixed else own.get((kind, channel), choice.enabled)
            for channel, choice in choices.items()
        }
    return Preferences(chosen, _defaults(), _fixed())


def choose(user_id: UUID, wanted: Mapping[str, Mapping[str, bool]], *, others_to_default: bool) -> None:
    """Note what a user wants, whose row is locked in this transaction.

    :param wanted: channel → whether, by kind.
    :param others_to_default: what is not named goes back to its default.
    :raises ValidationFailed: something that is fixed is to be otherwise.
    """
    values = {
        (kind, channel): wanted[kind.value][channel.value]
        for kind, choices in DEFAULTS.items()
        for channel in choices
        if channel.value in wanted.get(kind.value, {})
    }
    _refuse_fixed(values)
    if others_to_default:
        db.session.execute(delete(Preference).where(Preference.user_id == user_id))
    for (kind, channel), enabled in values.items():
        if not DEFAULTS[kind][channel].fixed:
            _write(user_id, kind, channel, enabled=enabled)


def turn_off(user_id: UUID, kind: Kind, channel: Channel) -> None:
    """Tell a user nothing of this kind by this channel any more; nothing where the user is gone."""
    if users.find_user(user_id, for_update=True) is not None:
        _write(user_id, kind, channel, enabled=False)


def _write(user_id: UUID, kind: Kind, channel: Channel, *, enabled: bool) -> None:
    statement = insert_into(Preference).values(user_id=user_id, kind=kind, channel=channel, enabled=enabled)
    keys = [Preference.user_id, Preference.kind, Preference.channel]
    db.session.execute(statement.on_conflict_do_update(index_elements=keys, set_={"enabled": enabled}))


def _refuse_fixed(values: Mapping[tuple[Kind, Channel], bool]) -> None:
    details = []
    for (kind, channel), enabled in values.items():
        choice = DEFAULTS[kind][channel]
        if choice.fixed and enabled is not choice.enabled:
            state = "on" if choice.enabled else "off"
            field, message = f"{kind}.{channel}", f"This is always {state}."
            details.append({"field": field, "code": "FIXED", "message": message})
    if details:
        raise ValidationFailed(details)


def _defaults() -> Table:
    return {
        kind.value: {channel.value: choice.enabled for channel, choice in choices.items()}
        for kind, choices in DEFAULTS.items()
    }


def _fixed() -> Table:
    return {
        kind.value: {channel.value: choice.fixed for channel, choice in choices.items()}
        for kind, choices in DEFAULTS.items()
    }
