"""CPU time of whole process trees, from Linux's /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every process's parent and CPU ticks at one moment, and what the machine has worked in all.

    The ticks of a process include those of its children that have ended and been waited for.
    """

    parents: dict[int, int]
    ticks: dict[int, int]
    machine: int

    @classmethod
    def take(cls) -> Snapshot:
        """Read /proc."""
        parents, ticks = {}, {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            parents[int(entry.name)] = int(fields[1])
            ticks[int(entry.name)] = sum(map(int, fields[11:15]))
        user, nice, system, _idle, _iowait, *rest = _machine_ticks()
        return cls(parents, ticks, user + nice + system + sum(rest[:3]))  # irq, softirq, steal

    def seconds(self, root: int) -> float:
        """CPU seconds, in user mode and in the kernel, of a process and its descendants."""
        children = defaultdict(list)
        for process, parent in self.parents.items():
            children[parent].append(process)
        total, waiting = 0, [root]
        while waiting:
            process = waiting.pop()
            total += self.ticks.get(process, 0)
            waiting += children[process]
        return total / TICKS

    @property
    def machine_seconds(self) -> float:
        """CPU seconds that the machine has worked, or that its host has kept from it."""
        return self.machine / TICKS


def _machine_ticks() -> list[int]:
    return [int(word) for word in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]


def parent_of(process: int) -> int:
    """The process that started this one."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
