"""Every test run: a state directory of its own, the database server stopped afterwards, whole suites skipped only in the open."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import django
import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parent
NODE_PACKAGES = ROOT / "bonds" / "tests" / "sdk" / "node_modules"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

if settings.configured and "STATE_DIR" not in os.environ:
    raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE, or set STATE_DIR: tests never use the development database")
os.environ.setdefault("STATE_DIR", str(ROOT / ".local" / "test"))
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()


def pytest_configure(config: pytest.Config) -> None:
    """Whoever starts the embedded server during the session, the session's end stops it. Parallel workers share the session's."""
    embedded = settings.DATABASES["default"]["ENGINE"] == "config.devdb.backend"
    if embedded and not hasattr(config, "workerinput"):
        session = ExitStack()
        session.enter_context(settings.DEVDB.held())
        config.add_cleanup(session.close)


def missing_for(item: pytest.Item) -> str | None:
    """What this machine lacks to run `item`; None when it has everything."""
    if item.get_closest_marker("browser") and not any(map(shutil.which, CHROMIUM_NAMES)):
        return "needs chromium"
    if item.get_closest_marker("node"):
        if not shutil.which("node"):
            return "needs Node"
        if not NODE_PACKAGES.is_dir():
            return f"needs `npm ci` in {NODE_PACKAGES.parent.relative_to(ROOT)}"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if missing := missing_for(item):
        pytest.skip(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With REQUIRE_ALL_SUITES set a browser or Node test that would be skipped fails instead."""
    report = yield
    gated = item.get_closest_marker("browser") or item.get_closest_marker("node")
    if gated and report.skipped and os.environ.get("REQUIRE_ALL_SUITES"):
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL_SUITES is set, but this test was skipped: {report.longrepr}"
    return report
