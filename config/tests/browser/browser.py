"""A real browser in a thread of its own: playwright's event loop never meets Django's database connections of the test's thread."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# A violation of the content security policy is an event of the document, wherever the page came from.
WATCH = "document.addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.blockedURI, e.sourceFile));"


def executable() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Browser:
    """One chromium and one page; `complaints` collects console errors, page errors, policy violations and failed answers."""

    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    page: Any = None

    def run(self, act: Callable[[Any], Any]) -> Any:
        """Do `act(page)` in the browser's thread and return its result."""
        return self.thread.submit(lambda: act(self.page)).result(timeout=120)

    def start(self) -> None:
        self.thread.submit(self._start).result(timeout=60)

    def fresh(self, *, width: int = 1280, height: int = 900) -> None:
        """A new page without cookies."""
        self.thread.submit(self._fresh, width, height).result(timeout=60)

    def stop(self) -> None:
        self.thread.submit(self._stop).result(timeout=60)
        self.thread.shutdown()

    def _start(self) -> None:
        from playwright.sync_api import sync_playwright

        self._driver = sync_playwright().start()
        self._chromium = self._driver.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        self._context = None

    def _fresh(self, width: int, height: int) -> None:
        if self._context:
            self._context.close()
        self.complaints.clear()
        self.foreign.clear()
        self._context = self._chromium.new_context(viewport={"width": width, "height": height})
        self._context.add_init_script(WATCH)
        self.page = self._context.new_page()
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note_foreign)

    def _note_foreign(self, request: Any) -> None:
        if not request.url.startswith(("http://localhost:", "http://127.0.0.1:", "data:", "blob:")):
            self.foreign.append(request.url)

    def _stop(self) -> None:
        if self._context:
            self._context.close()
        self._chromium.close()
        self._driver.stop()
