import pytest

from config.tests.browser.browser import Browser


@pytest.fixture(scope="session")
def chromium():
    """Without chromium the marker skips the test, in the open; without its driver this does."""
    pytest.importorskip("playwright.sync_api")
    browser = Browser()
    browser.start()
    yield browser
    browser.stop()


@pytest.fixture
def browser(chromium):
    chromium.fresh()
    return chromium


@pytest.fixture
def phone(chromium):
    chromium.fresh(width=360, height=740)
    return chromium
