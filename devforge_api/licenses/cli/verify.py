"""``flask licenses verify-file``: is a file, lease or key one of ours, and is it in force?"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, TextIO

import click

from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.licenses.cli.group import licenses_cli
from devforge_api.licenses.service.certificates import Kind, Untrusted, read, secret_of
from devforge_api.licenses.service.keys import read_signed_key


@licenses_cli.command("verify-file")
@click.argument("file", type=click.File(encoding="utf-8", errors="replace"))
@click.option("--key", help="The licence's key, for what is encrypted under it.")
@click.option("--fingerprint", help="Of the machine that the file is for.")
@json_option
@command_line
def verify_file(file: TextIO, key: str | None, fingerprint: str | None, as_json: bool) -> None:
    """Verify a licence file, machine file, lease, revocation list or signed key; - reads it from a pipe.

    Exit code 1: it is not ours, was tampered with, cannot be opened, or is not in force.
    """
    text = file.read()
    if text.strip().startswith("key/"):
        _show_key(text, as_json=as_json)
        return
    try:
        opened = read(text, secret=_secret(text, key, fingerprint))
    except Untrusted as error:
        raise click.ClickException(f"Not genuine, or not to be opened: {error}.") from error
    meta, data = opened.document["meta"], opened.document["data"]
    if fingerprint is not None and opened.kind is Kind.MACHINE and data["fingerprint"] != fingerprint:
        raise click.ClickException("The file is for another machine.")
    summary: dict[str, Any] = {"kind": opened.kind.value, "kid": opened.kid, "encrypted": opened.encrypted}
    if as_json:
        click.echo(json.dumps(summary | opened.document, indent=2))
    else:
        of = {} if opened.kind is Kind.REVOCATIONS else {"id": data["id"]}
        show_rows([summary | of | {name: meta[name] for name in ("issued", "expiry")}], as_json=False)
    if datetime.fromisoformat(meta["expiry"]) <= utc_now():
        raise click.ClickException("It is genuine, and not in force any more.")


def _secret(text: str, key: str | None, fingerprint: str | None) -> str | None:
    """What opens the file: for a machine's, key and fingerprint together."""
    if key is None:
        return None
    return secret_of(key, fingerprint if "BEGIN MACHINE FILE" in text else None)


def _show_key(text: str, *, as_json: bool) -> None:
    """What a signed key says; whether it still opens its licence is for ``validate`` to tell."""
    payload = read_signed_key(text)
    if payload is None:
        raise click.ClickException("Not genuine: no key of ours has signed it.")
    if as_json:
        click.echo(json.dumps({"kind": "key", **payload}, indent=2))
    else:
        show_rows([{"kind": "key", **payload}], as_json=False)
