"""
A real Chromium without a window, as it looks at one page.

Rules that live here: nothing is downloaded; where the system has no Chromium with its driver, tests that need it are
skipped with that reason. The size and the colours are those of the device it plays.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "no chromium with chromedriver here: apt-get install chromium chromium-driver"
IS_THERE = BROWSER is not None and DRIVER is not None
_OPTIONS = ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "hide-scrollbars")


class Page:
    """One page in the browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def show(self, url: str, *, width: int = 1200, dark: bool = False) -> None:
        """Open a page as a device of that width shows it."""
        self._command(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", features=[scheme])
        self.driver.get("about:blank")  # the page before may ask a server that is gone, and complain
        self.complaints()
        self.driver.get(url)

    def ask(self, script: str, *arguments: Any) -> Any:
        """Return what a JavaScript expression is worth on the page."""
        return self.driver.execute_script(f"return {script}", *arguments)

    def text(self, selector: str) -> str:
        """Return the text of one element, as it is seen."""
        return str(self.ask("document.querySelector(arguments[0]).innerText", selector)).strip()

    def number(self, selector: str) -> int:
        """Return the number an element shows; -1 before it shows any."""
        text = self.text(selector).replace(",", "")
        return int(text) if text.lstrip("-").isdigit() else -1

    def complaints(self) -> list[str]:
        """Return what the browser logged since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def screenshot(self, path: Path) -> None:
        """Save the whole page as an image."""
        self.driver.save_screenshot(str(path))

    def _command(self, name: str, **arguments: Any) -> None:
        self.driver.execute_cdp_cmd(name, arguments)


@contextmanager
def browser() -> Iterator[Page]:
    """Run a browser for the time of the context."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for option in _OPTIONS:
        options.add_argument(f"--{option}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield Page(driver)
    finally:
        driver.quit()
