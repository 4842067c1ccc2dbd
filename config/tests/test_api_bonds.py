"""Staff programs find bonds and their terms; amounts are text, so that no reader rounds them."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from config.tests import books

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff():
    return User.objects.create_user("treasury", is_staff=True)


@pytest.fixture
def client(staff):
    client = APIClient()
    client.force_login(staff)
    return client


def test_a_bond_is_listed_and_shown_with_its_exact_terms(client, staff):
    bond = books.write(staff=staff).bond
    listed = client.get("/admin/bonds").json()
    shown = client.get(f"/admin/bonds/{bond.pk}").json()
    assert listed == {"bonds": [shown], "total_count": 1}
    assert shown == {
        "bond_metadata_id": str(bond.pk),
        "name": "Green Harbour 5% 2029",
        "isin": "",
        "status": "Success",
        "face_value": "1000.000000000000000000",
        "currency": "EUR",
        "token_decimals": 0,
        "plt_token_id": "EURe",
        "plt_decimals": 6,
        "issue_date": "2026-01-01",
        "subscription_period_end": "2026-02-01",
        "maturity_date": "2029-01-01",
    }


def test_a_page_ends_where_it_was_asked_to(client, staff):
    books.write(staff=staff)
    assert client.get("/admin/bonds", {"offset": 1}).json() == {"bonds": [], "total_count": 1}


@pytest.mark.parametrize(
    ("query", "field"), [({"limit": 0}, "limit"), ({"limit": 201}, "limit"), ({"offset": -1}, "offset")]
)
def test_a_page_out_of_range_is_refused(client, query, field):
    response = client.get("/admin/bonds", query)
    assert (response.status_code, response.json()["field"]) == (400, field)


def test_an_unknown_bond_is_404(client):
    response = client.get("/admin/bonds/00000000-0000-4000-8000-000000000000")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
