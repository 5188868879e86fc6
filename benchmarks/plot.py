"""The figures as bars, by matplotlib, which only the peers' environment has.

PEERS_PYTHON -m benchmarks.plot RESULTS.json OUTPUT.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.scenarios import SYSTEMS
from benchmarks.summary import Summary

COLORS = ("#1b6ca8", "#7fb069", "#e6aa68", "#b8b8b8")
GROUPS = (
    ("requests a second, saturated", "rate", {"V32": "V, 32", "R32": "R, 32", "V200": "V, 200"}),
    (
        "p99 in ms (logarithmic)",
        "p99",
        {"V200": "V, 200 conn.", "V1000": "V, 1,000/s", "V1000-silent": "… 64 silent", "R1000": "R, 1,000/s"},
    ),
)


def draw(summary: Summary) -> Figure:
    """Two panels: what is fast is long on the left and short on the right."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axes, (title, name, scenarios) in zip(figure.subplots(1, len(GROUPS)), GROUPS, strict=True):
        shown = {key: label for key, label in scenarios.items() if summary.has(key)}
        _bars(axes, summary, name, shown)
        axes.set_title(title, fontsize=11)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(SYSTEMS), frameon=False, fontsize=9)
    return figure


def _bars(axes: Axes, summary: Summary, name: str, scenarios: dict[str, str]) -> None:
    width = 0.8 / len(SYSTEMS)
    for number, system in enumerate(SYSTEMS):
        present = [place for place, key in enumerate(scenarios) if summary.has(key, system)]
        heights = [summary.median(list(scenarios)[place], system, name) for place in present]
        bars = axes.bar(
            [place + (number - 1.5) * width for place in present],
            heights,
            width,
            label=system,
            color=COLORS[number],
        )
        axes.bar_label(
            bars, fmt=lambda height: f"{height:,.0f}" if height >= 100 else f"{height:.1f}", fontsize=7
        )
    if name == "p99" and scenarios:
        axes.set_yscale("log")
    axes.set_xticks(range(len(scenarios)), list(scenarios.values()), fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw the file's figures; the same figures give the same bytes."""
    source, target = map(Path, sys.argv[1:3])
    mpl.rcParams["svg.hashsalt"] = "dev-forge-api"
    draw(Summary(json.loads(source.read_text())["rows"])).savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
