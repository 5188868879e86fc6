"""Cells of CSV files that people open with a spreadsheet."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute


def cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula; a number is none."""
    text = "" if value is None else str(value)
    if isinstance(value, int):
        return text
    return f"'{text}" if text.startswith(FORMULA) else text


def cell_value(text: str) -> str:
    """What `cell` has written."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA) else text
