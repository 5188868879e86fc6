"""Configuration: an environment's plain attributes, overridden by declared settings."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config import billing, delivery, files
from config.secrets import development_secrets, make_folder, weakness
from config.settings import ENVIRONMENTS, PREFIX, SETTINGS, TEST_ONLY, Setting, SettingsError

__all__ = ["SettingsError", "load"]

ROOT = Path(__file__).resolve().parent.parent


def load(environ: Mapping[str, str]) -> dict[str, Any]:
    """The whole configuration for one process.

    :param environ: usually ``os.environ``; only ``DEVFORGE_`` names are read.
    :returns: Flask configuration keys and values.
    :raises SettingsError: an unknown name, a value that cannot be read, a missing or weak secret.
    """
    _refuse_unknown_names(environ)
    env = environ.get(PREFIX + "ENV") or "development"
    if env not in ENVIRONMENTS:
        raise SettingsError(f"DEVFORGE_ENV must be one of {', '.join(ENVIRONMENTS)}, not {env!r}.")
    values: dict[str, Any] = {"ENV": env}
    for module in ("config.base", f"config.{env}"):
        attributes = vars(importlib.import_module(module))
        values.update({key: value for key, value in attributes.items() if key.isupper()})
    for setting in SETTINGS:
        text = _given(setting, environ)
        if text is not None:
            values[setting.key] = _read(setting, text)
    _settle(values)
    return values


def _refuse_unknown_names(environ: Mapping[str, str]) -> None:
    known = {setting.variable for setting in SETTINGS}
    known |= {setting.variable + "_FILE" for setting in SETTINGS if setting.has_file}
    known |= {PREFIX + name for name in TEST_ONLY}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            # Without the prefix, which would make any two names look alike.
            plain = [other.removeprefix(PREFIX) for other in sorted(known)]
            near = difflib.get_close_matches(name.removeprefix(PREFIX), plain, n=1)
            hint = (
                f"; did you mean {PREFIX}{near[0]}?"
                if near
                else "; docs/configuration.md lists the known ones."
            )
            raise SettingsError(f"{name} is not a setting{hint}")


def _given(setting: Setting, environ: Mapping[str, str]) -> str | None:
    text = environ.get(setting.variable)
    if not setting.has_file:
        return text or None
    path = environ.get(setting.variable + "_FILE")
    if not path:
        return text or None
    if text:
        raise SettingsError(f"Set either {setting.variable} or {setting.variable}_FILE, not both.")
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except OSError as error:
        raise SettingsError(f"{setting.variable}_FILE cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingsError(f"{setting.variable}_FILE names a file that is not text.") from error


def _read(setting: Setting, text: str) -> Any:
    try:
        return setting.read(text)
    except ValueError as error:
        raise SettingsError(f"{setting.variable} {error}.") from error


def _settle(values: dict[str, Any]) -> None:
    """Fill in what depends on other values, and refuse combinations that are not safe."""
    data_dir = Path(values["DATA_DIR"])
    values["DATA_DIR"] = data_dir = data_dir if data_dir.is_absolute() else ROOT / data_dir
    make_folder(data_dir)
    strict = values["REQUIRE_STRONG_SECRETS"]
    if strict:
        _require_strong_secrets(values)
        if values["DATABASE_URL"] is None:
            raise SettingsError(f"DEVFORGE_DATABASE_URL must be set in {values['ENV']}.")
        if not (values["PUBLIC_URL"] or "").startswith("https://"):
            raise SettingsError(f"DEVFORGE_PUBLIC_URL must be an https:// address in {values['ENV']}.")
    elif not (values["SECRET_KEYS"] and values["MASTER_KEYS"]):
        made = development_secrets(data_dir)
        values["SECRET_KEYS"] = values["SECRET_KEYS"] or (made["SECRET_KEY"],)
        values["MASTER_KEYS"] = values["MASTER_KEYS"] or (made["MASTER_KEY"],)
    if values["WEB_WORKERS"] > 1 and not values["REDIS_URL"]:
        raise SettingsError(
            "More than one web process needs shared limits and revocations: "
            "set DEVFORGE_REDIS_URL, or DEVFORGE_WEB_WORKERS=1."
        )
    for part in (billing, delivery, files):
        if trouble := part.problem(values):
            raise SettingsError(trouble)
    host = f"[{values['HOST']}]" if ":" in values["HOST"] else values["HOST"]
    host = "127.0.0.1" if host in {"0.0.0.0", "[::]"} else host  # noqa: S104 - compared, not bound
    values["PUBLIC_URL"] = values["PUBLIC_URL"] or f"http://{host}:{values['PORT']}"
    values["REALTIME_PORT"] = values["REALTIME_PORT"] or delivery.neighbor(values["PORT"])
    values["REALTIME_URL"] = values["REALTIME_URL"] or delivery.realtime_url(values)
    values["ACCOUNT_PAGES_URL"] = values["ACCOUNT_PAGES_URL"] or f"{values['PUBLIC_URL']}/account"
    values["DATABASE_URL"] = values["DATABASE_URL"] or f"sqlite:///{data_dir / 'devforge.sqlite3'}"
    values["SECRET_KEY"], *values["SECRET_KEY_FALLBACKS"] = values["SECRET_KEYS"]
    values["MAX_CONTENT_LENGTH"] = values["MAX_BODY_BYTES"]


def _require_strong_secrets(values: dict[str, Any]) -> None:
    for name in ("SECRET_KEY", "MASTER_KEY"):
        given = values[name + "S"]
        if not given:
            raise SettingsError(f"DEVFORGE_{name} must be set in {values['ENV']}.")
        for value in given:
            if why := weakness(value):
                raise SettingsError(f"DEVFORGE_{name} {why}; use `openssl rand -base64 48`.")
