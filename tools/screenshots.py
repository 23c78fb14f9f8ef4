"""Pictures of every panel page of a lived-through demo, at 1280 and 390 pixels: ``python -m tools.screenshots [FOLDER]``."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from admin.screenshots import take
from gateway.demo.office import EMAIL, PASSWORD


def main() -> int:
    """Live through the demo, then let the panel's own tool photograph it."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    with tempfile.TemporaryDirectory(prefix="kravport-shots-") as home:
        environment = {**os.environ, "KRAVPORT_HOME": home}
        with subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "demo"], env=environment, stderr=subprocess.PIPE, text=True
        ) as demo:
            try:
                address = _address(demo)
                take(address, EMAIL, PASSWORD, folder)
            finally:
                demo.send_signal(signal.SIGINT)
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")
    return 0


def _address(demo: subprocess.Popen) -> str:
    for line in demo.stderr:
        print(line, end="", file=sys.stderr)
        found = re.match(r"panel: (\S+?)/?\s", line)
        if found:
            return found[1]
    raise SystemExit("the demo ended before its panel stood")


if __name__ == "__main__":
    sys.exit(main())
