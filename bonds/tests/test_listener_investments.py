"""What one investment record means: the investor, the user behind the address, and sums that stay right however often they are made."""

import itertools

import pytest
from django.contrib.auth.models import User

from bonds.models import BondInvestor, InvestmentRecord
from bonds.service import BondsService
from bonds.tests import factories
from jobs.errors import BadPayload
from jobs.models import Job
from jobs.service import Done, Fail, JobContext
from notifications.models import WalletLink

pytestmark = pytest.mark.django_db

_serial = itertools.count(1)


class Chain:
    def account_key(self, address):
        if address == "nonsense":
            raise ValueError("not base58")
        return address.removeprefix("alias-of-")


def record(bond, kind="invest", investor="A", security=5, currency=500):
    return InvestmentRecord.objects.create(
        bond=bond,
        kind=kind,
        investor=investor,
        token_contract_index=1,
        token_contract_subindex=0,
        token_id=20485,
        security_amount_raw=security,
        currency_amount_raw=currency,
        block_height=3,
        block_hash="aa" * 32,
        block_time=factories.NOW,
        transaction_hash=f"{next(_serial):064x}",
        event_index=0,
    )


def derive(payload):
    return BondsService().process_job(Job(job_type="bond_investment", payload=payload), JobContext(chain=Chain()))


def sums(investor):
    investor.refresh_from_db()
    return {
        kind: (int(getattr(investor, f"{kind}_security_raw")), int(getattr(investor, f"{kind}_currency_raw")))
        for kind in ("invested", "claimed", "refunded")
    }


def test_an_investors_records_are_added_up_and_linked_to_the_user_of_the_wallet():
    bond, user = factories.bond(), User.objects.create(username="ann")
    WalletLink.objects.create(address="A", user=user)
    records = [
        record(bond),
        record(bond, investor="alias-of-A", security=7, currency=10**30 + 1),
        record(bond, "claim", security=4, currency=400),
        record(bond, "refund", security=8, currency=800),
        record(bond, investor="B", security=1, currency=1),
    ]
    for one in records:
        assert isinstance(derive({"record": one.pk}), Done)
    investor = BondInvestor.objects.get(bond=bond, address="A")
    assert sums(investor) == {"invested": (12, 10**30 + 501), "claimed": (4, 400), "refunded": (8, 800)}
    assert (investor.user, BondInvestor.objects.count()) == (user, 2)
    assert BondInvestor.objects.get(address="B").user is None


def test_any_order_and_any_number_of_times_give_the_same_sums():
    bond = factories.bond()
    records = [record(bond, security=n, currency=n * 100) for n in (1, 2, 4)]
    for one in [*reversed(records), *records]:
        derive({"record": one.pk})
    assert sums(BondInvestor.objects.get()) == {"invested": (7, 700), "claimed": (0, 0), "refunded": (0, 0)}


def test_a_contract_may_invest_and_two_bonds_have_two_investors():
    bond, other = factories.bond(), factories.bond()
    for one in (record(bond, investor="<77,0>"), record(other, investor="<77,0>")):
        assert derive({"record": one.pk}) == Done("no user is known for the investor's address")
    assert {(i.bond, i.address) for i in BondInvestor.objects.all()} == {(bond, "<77,0>"), (other, "<77,0>")}


@pytest.mark.parametrize("payload", [{}, {"record": "1"}, {"record": True}, {"record": 0}])
def test_a_payload_that_names_no_record_is_refused(payload):
    with pytest.raises(BadPayload, match="no investment record"):
        derive(payload)
    assert not BondInvestor.objects.exists()


def test_an_address_that_is_none_is_for_a_person():
    outcome = derive({"record": record(factories.bond(), investor="nonsense").pk})
    assert isinstance(outcome, Fail)
    assert "is no address: not base58" in outcome.reason
    assert not BondInvestor.objects.exists()
