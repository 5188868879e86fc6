"""Run localstripe as it is, on loopback alone and with its file in a folder of this run's own.

It would listen at every address, and keep everything in one file below /tmp for all runs. Run by the
Python of its own environment: ``confined.py FOLDER PORT``.
"""

import builtins
import runpy
import socket
import sys
from pathlib import Path

folder, port = Path(sys.argv[1]), sys.argv[2]
genuine_open = builtins.open


class LoopbackSocket(socket.socket):
    """A socket that is only reached from this machine, by IPv4."""

    def bind(self, address):
        super().bind(("::ffff:127.0.0.1", address[1], *address[2:]))


def open_inside(file, *args, **kwargs):
    """The file in this run's folder, where it is the one of all runs."""
    return genuine_open(folder / "store" if file == "/tmp/localstripe.pickle" else file, *args, **kwargs)  # noqa: S108


socket.socket = LoopbackSocket  # type: ignore[misc]
builtins.open = open_inside
sys.argv = ["localstripe", "--port", port, "--from-scratch"]
runpy.run_module("localstripe", run_name="__main__")
