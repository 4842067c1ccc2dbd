"""The instrument, its holders and its money in the console: exact, linked, quick on long lists, and never deleted."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.forms.models import model_to_dict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bonds.admin import isin_is_valid
from bonds.models import Bond, JournalEntry, Payment
from config.tests import books

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff():
    return User.objects.create_superuser("treasury")


@pytest.fixture
def console(staff):
    client = Client()
    client.force_login(staff)
    return client


def bond_form(wallet, **changes):
    return {
        "name": "Blue Harbour",
        "isin": "",
        "status": "Active",
        "face_value": "1000",
        "currency": "eur",
        "token_decimals": "0",
        "plt_token_id": "EURe",
        "plt_decimals": "6",
        "wallet": wallet.pk,
        "issue_date": "2026-01-01",
        "subscription_period_end": "2026-02-01",
        "maturity_date": "2029-01-01",
        "redemption_period_years": "",
        "postsale_contract_index": "9101",
        "postsale_contract_subindex": "0",
        "presale_contract_index": "",
        "presale_contract_subindex": "0",
        "fund_contract_subindex": "0",
        "registry_contract_index": "9000",
        "registry_contract_subindex": "0",
        "listen_from_height": "0",
        "excluded_addresses": "",
        "description": "",
    } | changes


def test_nothing_of_this_room_can_be_deleted_by_anyone(console, staff):
    written = books.write(staff=staff)
    for model in apps.get_app_config("bonds").get_models():
        if admin.site.is_registered(model):
            request = type("Request", (), {"user": staff})()
            assert not admin.site.get_model_admin(model).has_delete_permission(request), model
    assert console.post(reverse("admin:bonds_bond_delete", args=[written.bond.pk]), {"post": "yes"}).status_code == 403
    assert Bond.objects.filter(pk=written.bond.pk).exists()


def test_money_is_read_only_even_for_a_superuser(console, staff):
    books.write(staff=staff)
    payment = Payment.objects.filter(status="ready").first()
    address = reverse("admin:bonds_payment_change", args=[payment.pk])
    assert console.post(address, {"status": "paid"}).status_code == 403
    payment.refresh_from_db()
    assert payment.status == "ready"
    assert console.get(reverse("admin:bonds_payment_add")).status_code == 403


def test_a_bond_is_added_with_its_currency_in_capitals(console, staff):
    written = books.write(staff=staff)
    response = console.post(reverse("admin:bonds_bond_add"), bond_form(written.wallet))
    assert response.status_code == 302, response.context["adminform"].form.errors
    assert Bond.objects.get(name="Blue Harbour").currency == "EUR"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"isin": "US0378331006"}, "isin"),
        ({"face_value": "0"}, "face_value"),
        ({"face_value": "-1"}, "face_value"),
        ({"maturity_date": "2026-01-01", "subscription_period_end": "2026-01-01"}, "maturity_date"),
        ({"subscription_period_end": "2029-01-02"}, "subscription_period_end"),
        ({"postsale_contract_index": "-1"}, "postsale_contract_index"),
        ({"postsale_contract_index": "9001"}, "__all__"),  # the contract of another bond
        ({"plt_decimals": ""}, "plt_decimals"),
    ],
)
def test_a_wrong_bond_is_refused_at_its_field_and_nothing_is_stored(console, staff, changes, field):
    written = books.write(staff=staff)
    response = console.post(reverse("admin:bonds_bond_add"), bond_form(written.wallet, **changes))
    assert response.status_code == 200
    assert list(response.context["adminform"].form.errors) == [field]
    assert Bond.objects.count() == 1


def test_the_terms_of_a_bond_are_fixed_once_it_exists(console, staff):
    bond = books.write(staff=staff).bond
    address = reverse("admin:bonds_bond_change", args=[bond.pk])
    console.post(address, {"name": "Renamed", "isin": "", "status": "Paused", "description": "", "face_value": "1"})
    bond.refresh_from_db()
    assert (bond.name, bond.status, bond.face_value) == ("Renamed", "Paused", 1000)


@pytest.mark.parametrize(
    ("isin", "valid"),
    [
        ("US0378331005", True),
        ("DE0001102580", True),
        ("GB0002634946", True),
        ("US0378331004", False),
        ("US037833100", False),
        ("0S0378331005", False),
        ("US037833100A", False),
    ],
)
def test_an_isin_carries_its_own_check_digit(isin, valid):
    assert isin_is_valid(isin) is valid


def test_a_payment_is_shown_exactly_and_leads_to_its_transaction_and_back(console, staff):
    written = books.write(staff=staff)
    paid = Payment.objects.get(position=1)
    listed = console.get(reverse("admin:bonds_payment_changelist")).content.decode()
    transaction = reverse("admin:bonds_chaintransaction_change", args=[written.transaction.pk])
    assert "1.000001 EURe" in listed
    assert transaction in listed
    shown = console.get(transaction).content.decode()
    assert written.transaction.transaction_hash in shown
    assert reverse("admin:bonds_payment_change", args=[paid.pk]) in shown
    assert "never shown" not in shown


def test_payments_are_found_by_their_id_their_run_and_their_holder(console, staff):
    written = books.write(staff=staff)
    paid = Payment.objects.get(position=2)
    address = reverse("admin:bonds_payment_changelist")
    for term, count in [(str(paid.pk), 1), (str(written.run.pk), 6), (paid.holder, 1), ("nobody", 0)]:
        assert console.get(address, {"q": term}).context["cl"].result_count == count, term


@pytest.mark.parametrize("query", [{"status": "held"}, {"kind": "maturity"}, {"bond__bond_metadata_id__exact": None}])
def test_payments_are_filtered_by_status_kind_and_bond(console, staff, query):
    written = books.write(staff=staff)
    query = {name: value or str(written.bond.pk) for name, value in query.items()}
    name = next(iter(query))
    lookup = {name if "__" in name else f"{name}__exact": query[name]}
    found = console.get(reverse("admin:bonds_payment_changelist"), lookup).context["cl"].result_count
    assert found == Payment.objects.filter(**query).count()


@pytest.mark.parametrize("name", ["payment", "chaintransaction", "journalentry", "holding", "snapshot"])
def test_a_longer_list_asks_no_more_questions(console, staff, name):
    address = reverse(f"admin:bonds_{name}_changelist")
    books.write(staff=staff, payments=4)
    console.get(address)  # content types are remembered from here on
    with CaptureQueriesContext(connection) as few:
        console.get(address)
    add_payments(40)
    with CaptureQueriesContext(connection) as many:
        console.get(address)
    assert len(many) == len(few)
    assert not [query for query in many if '"raw"' in query["sql"]]


def add_payments(count):
    """As many more paid payments, each with its entry in the books."""
    entry = JournalEntry.objects.get(payment__position=1)
    model = model_to_dict(entry.payment, exclude=["position", "holder", "bond", "wallet", "paid_by"])
    for position in range(100, 100 + count):
        payment = Payment.objects.create(
            **model,
            position=position,
            holder=f"holder {position}",
            bond=entry.payment.bond,
            wallet=entry.wallet,
            paid_by=entry.transaction,
        )
        entry.pk, entry.payment = None, payment
        entry.save(force_insert=True)
