"""Coupons on the console: configure, confirm, trigger, watch."""

import pytest
from django.urls import reverse

from bonds.chain.gateway import ChainUnavailable
from jobs.models import Job
from jobs.service import JobContext
from yields.models import YieldConfig, YieldDistribution
from yields.tests import factories

pytestmark = pytest.mark.django_db

ALL = (
    "yields.add_yieldconfig",
    "yields.change_yieldconfig",
    "yields.view_yieldconfig",
    "yields.trigger_yielddistribution",
    "yields.view_yielddistribution",
)


class Wallet:
    """The one thing the confirmation page reads of the chain."""

    answer: int | ChainUnavailable = 10**12

    def token_balance_units(self, account, token_id):
        if isinstance(self.answer, ChainUnavailable):
            raise self.answer
        return self.answer


wallet = Wallet()


def context():
    return JobContext(chain=wallet)


@pytest.fixture(autouse=True)
def chain(settings):
    settings.JOB_CONTEXT_FACTORY = f"{__name__}.context"
    wallet.answer = 10**12
    return wallet


@pytest.fixture
def user():
    return factories.staff(*ALL)


@pytest.fixture
def console(client, user):
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def bond():
    return factories.bond()


@pytest.fixture
def config(bond):
    return factories.config(bond)


def form(bond, **fields):
    return {
        "bond": str(bond.pk),
        "yield_type": "fixed",
        "interest_period_start": "2026-01-01",
        "interest_period_end": "2026-07-01",
        "coupon_rate": "0.05",
        "day_count": "ACT/365F",
        "rounding": "down",
        "yield_time_0": "2026-07-02",
        "yield_time_1": "09:00:00",
        **fields,
    }


def trigger_url(config):
    return reverse("admin:yields_trigger", args=[config.pk])


def run_url(run):
    return reverse("admin:yields_yielddistribution_change", args=[run.pk])


def text(answer):
    return answer.content.decode()


def test_a_config_is_added(console, bond, user):
    answer = console.post(reverse("admin:yields_yieldconfig_add"), form(bond))
    assert answer.status_code == 302
    config = YieldConfig.objects.get()
    assert (config.bond, config.created_by, config.payment_sequence) == (bond, user, 1)


def test_a_wrong_field_is_shown_beside_it_and_nothing_is_stored(console, bond):
    answer = console.post(reverse("admin:yields_yieldconfig_add"), form(bond, coupon_rate="5"))
    assert answer.context["adminform"].form.errors["coupon_rate"] == [
        "the coupon rate is a fraction per year between 0 and 1: 0.05 is 5 %"
    ]
    assert not YieldConfig.objects.exists()


def test_an_overlapping_period_is_refused(console, bond, config):
    answer = console.post(reverse("admin:yields_yieldconfig_add"), form(bond))
    assert str(config.pk) in answer.context["adminform"].form.errors["interest_period_start"][0]
    assert YieldConfig.objects.count() == 1


def test_a_config_is_edited_until_it_has_a_run(console, bond, config):
    url = reverse("admin:yields_yieldconfig_change", args=[config.pk])
    assert console.post(url, form(bond, coupon_rate="0.04")).status_code == 302
    config.refresh_from_db()
    assert str(config.coupon_rate.normalize()) == "0.04"
    run = factories.run(config)
    page = console.get(url)
    assert 'name="_save"' not in text(page)
    assert run_url(run) in text(page)
    assert trigger_url(config) not in text(page)
    assert console.post(url, form(bond, coupon_rate="0.03")).status_code == 403


def test_the_lists_show_rate_and_run(console, config):
    factories.run(config)
    page = text(console.get(reverse("admin:yields_yieldconfig_changelist")))
    assert ">5 %<" in page
    assert ">Scheduled<" in page
    runs = text(console.get(reverse("admin:yields_yielddistribution_changelist")))
    assert "0.000005 EURD" in runs


def test_the_trigger_button_leads_to_a_confirmation_that_starts_nothing(console, bond, config):
    factories.holding(bond, "A", 10)
    factories.holding(bond, "<7,0>", 20, factories.APR_1)
    detail = text(console.get(reverse("admin:yields_yieldconfig_change", args=[config.pk])))
    assert trigger_url(config) in detail
    page = text(console.get(trigger_url(config)))
    assert "2, of them 1 contracts (held, not paid)" in page
    assert "497.260273 EURD" in page
    assert "1,000,000.000000 EURD" in page
    assert bond.wallet.address in page
    assert not YieldDistribution.objects.exists()


def test_a_wallet_with_too_little_and_a_silent_chain_are_said(console, bond, config, chain):
    factories.holding(bond, "A", 10)
    chain.answer = 1
    assert "247.945204 EURD</strong>: the run will wait" in text(console.get(trigger_url(config)))
    chain.answer = ChainUnavailable("connection refused")
    assert "not known now (connection refused)" in text(console.get(trigger_url(config)))


def test_confirming_starts_the_run(console, config, user):
    answer = console.post(trigger_url(config))
    run = YieldDistribution.objects.get()
    assert (answer.status_code, answer.url) == (302, run_url(run))
    assert (run.status, run.triggered_by, Job.objects.get().payload) == ("scheduled", user, {"run": str(run.pk)})


def test_unclaimed_investments_ask_for_a_reason(console, bond, config):
    factories.invested(bond, "A", 10)
    page = text(console.get(trigger_url(config)))
    assert "1 investor has not claimed their tokens" in page
    refused = console.post(trigger_url(config))
    assert (refused.status_code, YieldDistribution.objects.count()) == (409, 0)
    assert console.post(trigger_url(config), {"unclaimed_reason": "in court"}).status_code == 302
    assert YieldDistribution.objects.count() == 1


def test_confirming_twice_starts_one_run(console, config):
    console.post(trigger_url(config))
    again = console.post(trigger_url(config))
    run = YieldDistribution.objects.get()
    assert again.status_code == 409
    assert str(run.pk) in text(again)
    assert Job.objects.count() == 1


@pytest.mark.parametrize("method", ["get", "post"])
def test_without_the_permission_nothing_is_triggered(client, config, method):
    user = factories.staff(*(set(ALL) - {"yields.trigger_yielddistribution"}))
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert trigger_url(config) not in text(client.get(reverse("admin:yields_yieldconfig_change", args=[config.pk])))
    assert getattr(client, method)(trigger_url(config)).status_code == 403
    assert (YieldDistribution.objects.count(), Job.objects.count()) == (0, 0)


def test_a_config_that_cannot_be_started_says_why(console, bond):
    early = factories.config(bond, yield_time="2099-01-01T00:00:00Z")
    page = text(console.get(trigger_url(early)))
    assert "the yield time is 2099-01-01 00:00:00 UTC: not before then" in page
    assert 'value="Trigger distribution"' not in page
    refused = console.post(trigger_url(early))
    assert refused.status_code == 409
    assert not YieldDistribution.objects.exists()


def paid(bond, run):
    proof = factories.transaction(bond.wallet, run=run.pk)
    payment = factories.payment(bond, run=run.pk, status="paid", paid_at=factories.YIELD_TIME, paid_by=proof)
    factories.attempt(payment, proof)
    return payment, proof.transaction_hash


def test_a_run_shows_its_figures_and_every_payment_with_its_hash(console, bond, config):
    run = factories.run(config, status="executing")
    payment, transaction_hash = paid(bond, run)
    held = factories.payment(
        bond, run=run.pk, position=2, status="held", hold_reason="blacklisted", held_at=factories.YIELD_TIME
    )
    factories.line(run, holder="A", payment=payment)
    factories.line(run, holder="B", position=2, payment=held)
    page = text(console.get(run_url(run)))
    assert transaction_hash in page
    assert "Blacklisted" in page
    assert f'data-live="{reverse("admin:yields_distribution_live", args=[run.pk])}" data-every="2000"' in page
    filtered = text(console.get(reverse("admin:yields_distribution_payments", args=[run.pk]) + "?status=held"))
    assert (">B</span>" in filtered, ">A</span>" in filtered) == (True, False)


def test_the_payments_of_a_run_are_paged(console, config):
    run = factories.run(config)
    for position in range(1, 102):
        factories.line(run, position=position, holder=f"holder {position}")
    first = text(console.get(run_url(run)))
    assert ("holder 100<" in first, "holder 101<" in first) == (True, False)
    second = text(console.get(run_url(run) + "?page=2"))
    assert ("holder 100<" in second, "holder 101<" in second) == (False, True)


def test_a_fragment_is_what_moves_and_nothing_else(console, config):
    run = factories.run(config, status="needs_attention", error_message="a person looks")
    page = text(console.get(reverse("admin:yields_distribution_live", args=[run.pk])))
    assert "a person looks" in page
    assert "<html" not in page
    assert "data-live" not in text(console.get(run_url(run)))


@pytest.mark.parametrize("name", ["yields_distribution_live", "yields_distribution_payments"])
def test_fragments_need_the_permission_to_look(client, config, name):
    run = factories.run(config)
    client.force_login(factories.staff(), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(reverse(f"admin:{name}", args=[run.pk])).status_code == 403


def test_runs_are_never_edited_or_deleted_by_hand(console, config):
    run = factories.run(config)
    assert console.post(run_url(run), {"status": "completed"}).status_code == 403
    assert (
        console.post(reverse("admin:yields_yielddistribution_delete", args=[run.pk]), {"post": "yes"}).status_code
        == 403
    )
    assert (
        console.post(reverse("admin:yields_yieldconfig_delete", args=[config.pk]), {"post": "yes"}).status_code == 403
    )
    run.refresh_from_db()
    assert run.status == "scheduled"


def test_no_page_of_ours_carries_inline_script_or_style(console, config):
    run = factories.run(config)
    for url in (trigger_url(config), run_url(run), reverse("admin:yields_distribution_live", args=[run.pk])):
        page = text(console.get(url))
        assert " style=" not in page
        assert "onclick" not in page
