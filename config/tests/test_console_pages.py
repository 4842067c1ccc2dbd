"""What every page of the console keeps: staff only, the banner, the policy, no inline code; and what its own pages do."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from knox.models import AuthToken

from bonds.chain.gateway import ChainUnavailable
from bonds.models import ListenerCursor, Payment
from config.console import pages
from config.console.site import BANNER
from config.tests import books

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)(?![^>]*application/json)", re.IGNORECASE)


@pytest.fixture(autouse=True)
def quick_password_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def staff():
    return User.objects.create_superuser("treasury", password=PASSWORD)


@pytest.fixture
def console(staff):
    cache.clear()
    client = Client()
    client.force_login(staff)
    return client


def text_of(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def every_list():
    return [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
    ]


# --- who gets in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/admin", "/admin/"])
def test_a_browser_at_the_front_door_is_led_to_the_console(client, path):
    assert client.get(path).headers["Location"] == "/console/"


def test_nobody_and_investors_are_sent_to_the_log_in_page(client):
    own = ["admin:index", "admin:now", "admin:balances", "admin:mailbox", "admin:tokens"]
    for _ in range(2):
        for address in every_list() + [reverse(name) for name in own]:
            assert client.get(address).headers["Location"].startswith("/console/login/"), address
        client.force_login(User.objects.get_or_create(username="investor")[0])


def test_guessing_a_password_is_stopped_with_a_page_that_says_so(client, staff, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        response = client.post("/console/login/", {"username": "treasury", "password": "wrong"})
    assert response.status_code == 429
    assert "Too many failed log-ins" in text_of(response)
    client.post("/console/login/", {"username": "treasury", "password": PASSWORD})
    assert "_auth_user_id" not in client.session


def test_a_form_without_its_csrf_token_is_refused_and_changes_nothing(staff):
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    response = client.post("/console/tokens/", {"days": 1})
    assert response.status_code == 403
    assert "out of date" in text_of(response)
    assert not AuthToken.objects.exists()


# --- every page ------------------------------------------------------------------------------------------------------


def test_every_page_has_the_banner_the_policy_and_no_inline_code(console, staff):
    written = books.write(staff=staff)
    details = [
        reverse("admin:bonds_bond_change", args=[written.bond.pk]),
        reverse("admin:bonds_payment_change", args=[Payment.objects.first().pk]),
        reverse("admin:bonds_chaintransaction_change", args=[written.transaction.pk]),
    ]
    own = [reverse(name) for name in ("admin:index", "admin:tokens", "admin:bonds_bond_add")]
    for address in every_list() + details + own:
        response = console.get(address)
        assert response.status_code == 200, address
        assert BANNER in text_of(response), address
        assert "default-src 'self'" in response.headers["Content-Security-Policy"], address
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert INLINE.search(response.content.decode()) is None, address


def test_the_log_in_page_has_the_banner_too(client):
    assert BANNER in text_of(client.get("/console/login/"))


def test_the_menu_is_grouped(console):
    groups = [group["name"] for group in console.get("/console/").context["available_apps"]]
    assert groups == ["Servicing", "People", "Jobs", "Access"]


# --- the first page --------------------------------------------------------------------------------------------------


def test_the_first_page_shows_runs_and_what_is_owed_to_the_unit(console, staff):
    written = books.write(staff=staff)
    text = text_of(console.get("/console/now/"))
    assert str(written.run) in text
    assert "3.000006 EURe 3 of 6" in text  # paid
    assert "Owed now 3.000015 EURe, 3 payments" in text
    assert "Held 1.000006 EURe, 1 payment" in text


def test_the_first_page_never_asks_the_chain(console, staff, monkeypatch):
    books.write(staff=staff)
    monkeypatch.setattr(pages, "chain", lambda: pytest.fail("the chain was asked"))
    assert console.get("/console/").status_code == 200
    assert console.get("/console/now/").status_code == 200


def test_without_a_worker_the_first_page_says_that_nothing_is_lost(console):
    assert "No worker is alive: jobs wait, nothing is lost." in text_of(console.get("/console/"))


def test_a_halted_wallet_is_the_first_thing_said(console, staff):
    written = books.write(staff=staff)
    written.wallet.halted_at, written.wallet.halt_reason = timezone.now(), "number 8 was used elsewhere"
    written.wallet.save()
    text = text_of(console.get("/console/"))
    assert "A cloud wallet is halted" in text
    assert "Wallet Cloud wallet is halted: number 8 was used elsewhere" in text


def test_a_silent_node_delays_only_the_balances_and_is_not_asked_again_at_once(console, staff, monkeypatch):
    books.write(staff=staff)
    asked = []

    class SilentNode:
        def token_balance_units(self, *_):
            asked.append(1)
            raise ChainUnavailable("no answer")

    monkeypatch.setattr(pages, "chain", SilentNode)
    for _ in range(2):
        assert "node not reachable" in text_of(console.get("/console/balances/"))
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["now", "balances"])
def test_a_fragment_only_reads(console, name):
    before = User.objects.get().last_login
    assert console.post(f"/console/{name}/").status_code == 405
    assert User.objects.get().last_login == before


def test_a_listener_that_fell_silent_is_found(staff):
    from config.console import figures

    written = books.write(staff=staff)
    assert not figures.silent_listeners()
    ListenerCursor.objects.update(updated_at=timezone.now() - timedelta(minutes=3))
    assert [cursor.bond for cursor in figures.silent_listeners()] == [written.bond]


# --- mailbox ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def mailbox(settings, tmp_path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    settings.MAILBOX_DIR = tmp_path


def test_the_mailbox_shows_mails_newest_first_in_pages(console, mailbox):
    with mail.get_connection() as connection:
        for number in range(30):
            mail.EmailMessage(
                f"Coupon {number:02} <paid>", "24.79 EURe", None, ["a@example.com"], connection=connection
            ).send()
    first, second = console.get("/console/mailbox/"), console.get("/console/mailbox/?page=2")
    assert re.findall(r"Coupon (\d\d) <paid>", text_of(first)) == [f"{n:02}" for n in range(29, 4, -1)]
    assert re.findall(r"Coupon (\d\d) <paid>", text_of(second)) == [f"{n:02}" for n in range(4, -1, -1)]
    assert b"<paid>" not in first.content
    assert b"/console/mailbox/" in console.get("/console/").content


def test_there_is_no_mailbox_where_mails_are_really_sent(console, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert console.get("/console/mailbox/").status_code == 404
    assert b"/console/mailbox/" not in console.get("/console/").content


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_opens_the_api(console):
    response = console.post("/console/tokens/", {"days": 30})
    token = response.context["token"]
    assert f">{token}<" in response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]
    assert token not in console.get("/console/tokens/").content.decode()
    assert Client().get("/admin/jobs", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert timedelta(days=29) < AuthToken.objects.get().expiry - timezone.now() <= timedelta(days=30)


def test_a_token_is_revoked_by_its_owner_alone(console, staff):
    own, _ = AuthToken.objects.create(user=staff)
    other, _ = AuthToken.objects.create(user=User.objects.create_user("other", is_staff=True))
    for digest in (own.digest, other.digest):
        console.post("/console/tokens/revoke/", {"digest": digest})
    assert [token.digest for token in AuthToken.objects.all()] == [other.digest]


def test_tokens_per_person_are_limited(console, staff):
    for _ in range(pages.TOKENS_PER_PERSON):
        AuthToken.objects.create(user=staff)
    assert "Revoke one first" in text_of(console.post("/console/tokens/", {"days": 30}))
    assert AuthToken.objects.count() == pages.TOKENS_PER_PERSON


@pytest.mark.parametrize("days", ["0", "100000", "", "x"])
def test_only_an_offered_lifetime_is_taken(console, days):
    assert console.post("/console/tokens/", {"days": days}).status_code == 200
    assert not AuthToken.objects.exists()
