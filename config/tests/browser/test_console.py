"""The console in a real browser: it loads, it is navigable, it obeys its own content security policy, and it fits a phone."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.urls import reverse

from config.console.site import BANNER
from config.tests import books

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "a long enough password"


@pytest.fixture(autouse=True)
def quick_password_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def staff():
    return User.objects.create_superuser("treasury", password=PASSWORD)


def log_in(page, server, password=PASSWORD):
    page.goto(f"{server.url}/console/login/")
    page.fill("#id_username", "treasury")
    page.fill("#id_password", password)
    page.click("input[type=submit]")


def is_wider_than_screen(page):
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def test_the_log_in_page_loads_with_the_banner_and_without_complaint(browser, live_server):
    def act(page):
        page.goto(f"{live_server.url}/console/")
        return page.url, page.inner_text("body"), page.is_visible("#id_username")

    url, text, ready = browser.run(act)
    assert url.endswith("/console/login/?next=/console/")
    assert BANNER in text
    assert ready
    assert browser.complaints == []


def test_a_wrong_password_is_refused(browser, live_server, staff):
    def act(page):
        log_in(page, live_server, "wrong")
        return page.url, page.inner_text(".errornote")

    url, text = browser.run(act)
    assert "/console/login/" in url
    assert "correct username and password" in text


def test_the_first_page_shows_runs_money_and_queue_and_keeps_itself_fresh(browser, live_server, staff):
    written = books.write(staff=staff)

    def act(page):
        log_in(page, live_server)
        before = page.inner_text("#now")
        with page.expect_response(lambda answer: answer.url.endswith("/console/now/"), timeout=15_000) as answer:
            pass
        return before, answer.value.status, page.get_attribute("#now", "data-stale")

    text, status, stale = browser.run(act)
    assert str(written.run) in text
    assert "3 of 6" in text
    assert "3.000015" in text  # owed: 4 + 5 + 6 units above 3 whole EURe
    assert (status, stale) == (200, None)
    # A node that is not there is the balances' own business: the page has already been shown.
    assert browser.complaints == []


def pages(written):
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
        if model._meta.app_label != "contenttypes"
    ]
    details = [
        reverse("admin:bonds_bond_add"),
        reverse("admin:bonds_bond_change", args=[written.bond.pk]),
        reverse("admin:bonds_chaintransaction_change", args=[written.transaction.pk]),
        reverse("admin:bonds_wallet_change", args=[written.wallet.pk]),
        reverse("admin:yields_yielddistribution_change", args=[written.run.pk]),
    ]
    own = ["admin:index", "admin:tokens", "admin:mailbox", "admin:password_change", "docs"]
    return lists + details + [reverse(name) for name in own]


def open_all(browser, live_server, addresses):
    found = {}

    def act(page):
        log_in(page, live_server)
        for address in addresses:
            browser.complaints.clear()
            status = page.goto(f"{live_server.url}{address}").status
            page.wait_for_load_state("networkidle") if address.startswith("/api/") else None
            banner = page.inner_text(".banner")
            found[address] = (status, banner == BANNER, list(browser.complaints), is_wider_than_screen(page))

    browser.run(act)
    return found


def test_every_page_opens_with_the_banner_and_without_a_console_error_or_policy_violation(
    browser, live_server, staff, settings, tmp_path
):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.MAILBOX_DIR = tmp_path
    found = open_all(browser, live_server, pages(books.write(staff=staff)))
    wrong = {address: seen for address, seen in found.items() if seen[:3] != (200, True, [])}
    assert wrong == {}
    assert browser.foreign == []
    assert len(found) > 20


def test_no_page_is_wider_than_a_phone(phone, live_server, staff, settings, tmp_path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.MAILBOX_DIR = tmp_path
    addresses = [address for address in pages(books.write(staff=staff)) if not address.startswith("/api/")]
    found = open_all(phone, live_server, addresses)
    assert [address for address, seen in found.items() if seen[3]] == []


def test_the_watch_sees_an_inline_script(browser, live_server):
    """The suite can fail: what the policy refuses is noticed."""

    def act(page):
        page.goto(f"{live_server.url}/console/login/")
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')")
        page.wait_for_timeout(200)

    browser.run(act)
    assert any("CSP" in complaint for complaint in browser.complaints)


def test_a_token_made_in_the_browser_is_shown_once(browser, live_server, staff):
    def act(page):
        log_in(page, live_server)
        page.goto(f"{live_server.url}/console/tokens/")
        page.click("text=Make token")
        token = page.inner_text("#new-token")
        page.goto(f"{live_server.url}/console/tokens/")
        return token, page.inner_text("body")

    token, text = browser.run(act)
    assert len(token) == 64
    assert token not in text
    assert token[:6] in text
