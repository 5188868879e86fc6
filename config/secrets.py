"""Secrets: made once for development, refused when weak in staging and production."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from config.settings import SettingsError

MINIMUM_LENGTH = 32


NAMES = ("SECRET_KEY", "MASTER_KEY")


def make_folder(data_dir: Path) -> None:
    """Make the data folder on first use.

    :raises SettingsError: it cannot be made.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(data_dir, error) from error


def development_secrets(data_dir: Path) -> dict[str, str]:
    """The secrets of this data folder, made on first use and readable by their owner alone.

    Server and CLI started at the same moment agree: the first to link the file wins.

    :returns: ``{"SECRET_KEY": …, "MASTER_KEY": …}``.
    :raises SettingsError: the folder cannot be written or the file is damaged.
    """
    path = data_dir / "secrets.json"
    try:
        if not path.exists():
            made = {name: secrets.token_urlsafe(32) for name in NAMES}
            draft = data_dir / f".secrets-{secrets.token_hex(8)}"
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(made, file)
            try:
                os.link(draft, path)
            except FileExistsError:
                pass  # another process was first; its secrets count
            finally:
                draft.unlink()
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unusable(data_dir, error) from error
    except ValueError:
        found = None
    # Never made anew: whatever is encrypted in the database would be lost with the old ones.
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in NAMES):
        raise SettingsError(f"{path} is damaged; restore it from a backup.")
    return found


def _unusable(data_dir: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"The data folder {data_dir} cannot be used ({error.strerror}); set DEVFORGE_DATA_DIR."
    )


def weakness(value: str) -> str | None:
    """Why a secret must not be used, or None for a good one."""
    if len(value) < MINIMUM_LENGTH:
        return f"is shorter than {MINIMUM_LENGTH} characters"
    if len(set(value)) < 10:
        return "repeats a few characters"
    if any(
        word in value.casefold() for word in ("changeme", "change-me", "password", "example", "secret-key")
    ):
        return "contains a well-known word"
    return None
