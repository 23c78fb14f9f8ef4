"""Pictures of every page of a running panel, at 1280 and 390 px: ``python -m admin.screenshots URL EMAIL PASSWORD``.

It only looks: addresses come from the pages themselves, so it works on any installation (the demo's, for instance).
Chromium is found on the PATH or named by ``KRAVPORT_CHROMIUM``.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDTHS = {1280: 900, 390: 844}
HEIGHT_MAX = 6000
_LISTS = {
    "today": "/panel/",
    "invoices": "/panel/invoices/",
    "invoices-held": "/panel/invoices/?tab=held",
    "payments": "/panel/payments/",
    "payments-posted": "/panel/payments/?tab=posted",
    "customers": "/panel/customers/",
    "agreements": "/panel/agreements/",
    "envelopes": "/panel/envelopes/",
    "inbound": "/panel/inbound/?tab=all",
    "quarantine": "/panel/inbound/",
    "jobs": "/panel/jobs/?tab=done",
    "factoring": "/panel/factoring/",
    "audit": "/panel/audit/",
}
_DETAILS = {
    "invoice": ("/panel/invoices/?tab=sent", r"^/panel/invoices/\d+$"),
    "payment": ("/panel/payments/?tab=posted", r"^/panel/payments/\d+$"),
    "customer": ("/panel/customers/?tab=all", r"^/panel/customers/\d+$"),
    "agreement": ("/panel/agreements/", r"^/panel/agreements/\d+$"),
    "envelope": ("/panel/envelopes/", r"^/panel/envelopes/\d+$"),
    "inbound-file": ("/panel/inbound/?tab=all", r"^/panel/inbound/\d+$"),
}


def take(address: str, email: str, password: str, folder: Path) -> list[Path]:
    """Log in at *address* and write a picture of each page into *folder*; return the files.

    Raises:
        RuntimeError: no Chromium, or the log-in failed.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # a tool of developers, not of the installation

    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for width, height in WIDTHS.items():
            context = browser.new_context(viewport={"width": width, "height": height}, locale="nb-NO")
            tab = context.new_page()
            made.append(_shoot(tab, f"{address}/login", folder / f"login-{width}.png"))
            tab.fill("#email", email)
            tab.fill("#password", password)
            tab.click("button[type=submit]")
            if "/login" in tab.url:
                raise RuntimeError(f"log-in at {address} failed for {email}")
            for name, path in _LISTS.items():
                made.append(_shoot(tab, address + path, folder / f"{name}-{width}.png"))
            for name, (path, pattern) in _DETAILS.items():
                target = _first_link(tab, address + path, pattern)
                if target:
                    made.append(_shoot(tab, address + target, folder / f"{name}-{width}.png"))
            context.close()
        browser.close()
    return made


def chromium() -> str:
    """Return the path of a Chromium; raises ``RuntimeError`` where there is none."""
    named = os.environ.get("KRAVPORT_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        raise RuntimeError("no Chromium on the PATH; install one or name it in KRAVPORT_CHROMIUM")
    return found


def _shoot(tab: Any, address: str, file: Path) -> Path:
    """Grow the window to the page first: what is fixed to an edge then stands at the edge of the picture."""
    size = tab.viewport_size
    tab.goto(address)
    height = min(HEIGHT_MAX, tab.evaluate("document.documentElement.scrollHeight"))
    tab.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
    tab.screenshot(path=str(file))
    tab.set_viewport_size(size)
    return file


def _first_link(tab: Any, address: str, pattern: str) -> str:
    tab.goto(address)
    links = tab.eval_on_selector_all("main a[href]", "links => links.map(link => link.getAttribute('href'))")
    return next((link for link in links if re.match(pattern, link)), "")


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit code."""
    if len(arguments) not in {3, 4}:
        sys.stderr.write("usage: python -m admin.screenshots URL EMAIL PASSWORD [FOLDER]\n")
        return 2
    address, email, password = arguments[0].rstrip("/"), arguments[1], arguments[2]
    made = take(address, email, password, Path(arguments[3] if len(arguments) == 4 else "screenshots"))
    sys.stdout.write(f"{len(made)} pictures in {made[0].parent}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
