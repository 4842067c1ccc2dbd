"""What a coupon may say: every rule of the input refused with its field and code, and nothing stored."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bonds.errors import Conflict, Invalid, NotFound
from yields.calculations import DAY_COUNTS, ROUNDING_MODES
from yields.models import DayCount, Rounding, YieldConfig
from yields.services import configs
from yields.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def bond():
    return factories.bond()


@pytest.fixture
def actor():
    return factories.staff()


def test_a_fixed_coupon_is_stored_with_its_defaults(bond, actor):
    config = configs.create(factories.coupon(bond), actor=actor)
    config.refresh_from_db()
    assert (config.bond, config.yield_type, config.coupon_rate) == (bond, "fixed", Decimal("0.05"))
    assert (config.day_count, config.rounding, config.version, config.payment_sequence) == ("ACT/365F", "down", 1, 1)
    assert config.created_by == actor
    assert configs.record_moment(config) == factories.RECORD_AT


def test_a_given_record_time_is_kept(bond, actor):
    moment = datetime(2026, 6, 30, 12, tzinfo=UTC)
    config = configs.create(factories.coupon(bond, record_at=moment), actor=actor)
    assert configs.record_moment(config) == moment


def test_the_record_time_follows_the_utc_day_of_the_yield_time(bond, actor):
    early_in_riga = datetime.fromisoformat("2026-07-02T01:00:00+03:00")  # still the first of July in UTC
    config = configs.create(factories.coupon(bond, yield_time=early_in_riga), actor=actor)
    assert configs.record_moment(config) == datetime(2026, 6, 30, 23, 59, 59, 999999, tzinfo=UTC)


def test_both_legs_of_a_fixed_and_variable_coupon_are_stored(bond, actor):
    coupon = factories.variable(bond, yield_type="fixed_variable", coupon_rate=Decimal("0.03"))
    config = configs.create(coupon, actor=actor)
    assert (config.coupon_rate, config.variable_rate, config.profits_before_tax) == (
        Decimal("0.03"),
        Decimal("0.1"),
        Decimal(250_000),
    )


FIXED, VARIABLE = factories.coupon, factories.variable
REFUSED = [
    (FIXED, {"coupon_rate": Decimal(5)}, "coupon_rate", "coupon_rate_out_of_range"),
    (FIXED, {"coupon_rate": Decimal("-0.01")}, "coupon_rate", "coupon_rate_out_of_range"),
    (FIXED, {"coupon_rate": None}, "coupon_rate", "missing_coupon_rate"),
    (FIXED, {"coupon_rate": Decimal("0.26")}, "confirm_high_rate", "high_rate_unconfirmed"),
    (FIXED, {"coupon_rate": Decimal("NaN")}, "coupon_rate", "not_a_number"),
    (FIXED, {"coupon_rate": Decimal("0.0000000000000000001")}, "coupon_rate", "too_many_decimals"),
    (FIXED, {"interest_period_end": factories.START}, "interest_period_end", "empty_period"),
    (FIXED, {"yield_type": "floating"}, "yield_type", "unknown_value"),
    (FIXED, {"day_count": "ACT/366"}, "day_count", "unknown_value"),
    (FIXED, {"rounding": "up"}, "rounding", "unknown_value"),
    (FIXED, {"payment_frequency": 3}, "payment_frequency", "unknown_value"),
    (FIXED, {"payment_sequence": 0}, "payment_sequence", "out_of_range"),
    (FIXED, {"day_count": "ACT/ACT-ICMA"}, "payment_frequency", "missing_payment_frequency"),
    (FIXED, {"day_count": "ACT/ACT-ICMA", "payment_frequency": 4}, "interest_period_end", "irregular_period"),
    (FIXED, {"fiscal_year_end": "02-30"}, "fiscal_year_end", "invalid_month_day"),
    (FIXED, {"fiscal_year_end": "12/31"}, "fiscal_year_end", "invalid_month_day"),
    (FIXED, {"yield_time": datetime(2026, 7, 2)}, "yield_time", "naive_time"),  # noqa: DTZ001
    (FIXED, {"record_at": factories.YIELD_TIME + timedelta(seconds=1)}, "record_at", "record_after_yield_time"),
    (FIXED, {"variable_rate": Decimal("0.1")}, "variable_rate", "unexpected_profit"),
    (FIXED, {"profit_basis": "total"}, "profit_basis", "unexpected_profit"),
    (FIXED, {"face_value": Decimal("999.99")}, "face_value", "face_value_differs"),
    (FIXED, {"fx_rate": Decimal("1.1"), "fx_source": "ECB"}, "fx_rate", "unexpected_fx_rate"),
    (VARIABLE, {"coupon_rate": Decimal("0.05")}, "coupon_rate", "unexpected_coupon_rate"),
    (VARIABLE, {"profits_before_tax": None}, "profits_before_tax", "missing_profit"),
    (VARIABLE, {"profits_before_tax": Decimal(-100)}, "profits_before_tax", "negative_profit"),
    (VARIABLE, {"profits_before_tax": Decimal(10) ** 20}, "profits_before_tax", "too_large"),
    (VARIABLE, {"profit_basis": ""}, "profit_basis", "missing_profit_basis"),
    (VARIABLE, {"profit_currency": ""}, "profit_currency", "missing_profit_currency"),
    (VARIABLE, {"variable_rate": None}, "variable_rate", "missing_variable_rate"),
    (VARIABLE, {"variable_rate": Decimal("1.01")}, "variable_rate", "variable_rate_out_of_range"),
    (VARIABLE, {"profit_currency": "USD"}, "fx_rate", "missing_fx_rate"),
    (VARIABLE, {"profit_currency": "USD", "fx_rate": Decimal("0.9")}, "fx_source", "missing_fx_source"),
    (
        VARIABLE,
        {"profit_currency": "USD", "fx_rate": Decimal(0), "fx_source": "ECB"},
        "fx_rate",
        "fx_rate_out_of_range",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "field", "code"), REFUSED)
def test_a_wrong_field_is_named_and_nothing_is_stored(bond, actor, kind, fields, field, code):
    with pytest.raises(Invalid) as refusal:
        configs.create(kind(bond, **fields), actor=actor)
    assert (refusal.value.field, refusal.value.code, refusal.value.status) == (field, code, 422)
    assert not YieldConfig.objects.exists()


def test_a_high_rate_is_stored_when_confirmed(bond, actor):
    coupon = factories.coupon(bond, coupon_rate=Decimal("0.26"), confirm_high_rate=True)
    assert configs.create(coupon, actor=actor).high_rate_confirmed


def test_a_converted_profit_keeps_its_rate_and_source(bond, actor):
    coupon = factories.variable(bond, profit_currency="USD", fx_rate=Decimal("0.92"), fx_source="ECB 2026-07-01")
    config = configs.create(coupon, actor=actor)
    assert (config.fx_rate, config.fx_source) == (Decimal("0.92"), "ECB 2026-07-01")


def test_an_unknown_bond_is_not_found(bond, actor):
    coupon = factories.coupon(bond, bond_metadata_id="00000000-0000-0000-0000-000000000001")
    with pytest.raises(NotFound) as refusal:
        configs.create(coupon, actor=actor)
    assert refusal.value.field == "bond_metadata_id"


def test_no_day_of_a_bond_belongs_to_two_coupons(bond, actor):
    configs.create(factories.coupon(bond), actor=actor)
    later = {"interest_period_end": date(2027, 1, 1), "yield_time": datetime(2027, 1, 1, tzinfo=UTC)}
    overlapping = factories.coupon(bond, interest_period_start=date(2026, 6, 30), **later)
    with pytest.raises(Invalid) as refusal:
        configs.create(overlapping, actor=actor)
    assert refusal.value.code == "period_overlap"
    assert YieldConfig.objects.count() == 1
    following = factories.coupon(bond, interest_period_start=factories.END, **later)
    assert configs.create(following, actor=actor).payment_sequence == 2


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"interest_period_start": date(2025, 12, 31)}, "before_issue_date", "interest_period_start"),
        ({"interest_period_end": date(2027, 1, 2)}, "after_maturity_date", "interest_period_end"),
        ({"yield_time": datetime(2026, 6, 30, 23, 59, tzinfo=UTC)}, "paid_before_earned", "yield_time"),
        ({"yield_time": datetime(1, 1, 1, tzinfo=UTC)}, "paid_before_earned", "yield_time"),
    ],
)
def test_a_coupon_pays_for_days_the_bond_exists_and_only_once_they_are_earned(bond, actor, fields, code, field):
    with pytest.raises(Invalid) as refusal:
        configs.create(factories.coupon(bond, **fields), actor=actor)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert YieldConfig.objects.count() == 0


def test_of_two_overlapping_configs_at_once_the_database_lets_one_through(bond, actor, monkeypatch):
    configs.create(factories.coupon(bond), actor=actor)
    monkeypatch.setattr(
        configs, "_check_period_free", lambda *args, **kwargs: None
    )  # as seen before the other one committed
    with pytest.raises(Invalid) as refusal:
        configs.create(factories.coupon(bond), actor=actor)
    assert refusal.value.code == "period_overlap"
    assert YieldConfig.objects.count() == 1


def test_a_config_is_replaced_while_it_has_no_run(bond, actor):
    config = configs.create(factories.coupon(bond), actor=actor)
    configs.update(config.pk, factories.coupon(bond, coupon_rate=Decimal("0.04"), interest_period_end=date(2026, 6, 1)))
    config.refresh_from_db()
    assert (config.coupon_rate, config.interest_period_end, config.payment_sequence) == (
        Decimal("0.04"),
        date(2026, 6, 1),
        1,
    )


def test_a_config_with_a_run_is_read_only(bond, actor):
    config = configs.create(factories.coupon(bond), actor=actor)
    run = factories.run(config)
    with pytest.raises(Conflict) as refusal:
        configs.update(config.pk, factories.coupon(bond, coupon_rate=Decimal("0.04")))
    assert refusal.value.code == "config_in_use"
    assert str(run.pk) in refusal.value.message
    config.refresh_from_db()
    assert config.coupon_rate == Decimal("0.05")


def test_a_wrong_update_changes_nothing(bond, actor):
    config = configs.create(factories.coupon(bond), actor=actor)
    with pytest.raises(Invalid):
        configs.update(config.pk, factories.coupon(bond, coupon_rate=Decimal(5)))
    config.refresh_from_db()
    assert config.coupon_rate == Decimal("0.05")


def test_a_config_never_moves_to_another_bond(bond, actor):
    config = configs.create(factories.coupon(bond), actor=actor)
    with pytest.raises(Invalid) as refusal:
        configs.update(config.pk, factories.coupon(factories.bond()))
    assert refusal.value.field == "bond_metadata_id"


def test_a_new_version_supersedes_and_keeps_the_sequence(bond, actor):
    old = configs.create(factories.coupon(bond, payment_sequence=7), actor=actor)
    new = configs.create(factories.coupon(bond, coupon_rate=Decimal("0.04"), supersedes=old.pk), actor=actor)
    old.refresh_from_db()
    assert old.superseded_at is not None
    assert (new.version, new.supersedes, new.payment_sequence) == (2, old, 7)
    assert not configs.is_editable(old)


def test_a_config_is_superseded_once(bond, actor):
    old = configs.create(factories.coupon(bond), actor=actor)
    configs.create(factories.coupon(bond, supersedes=old.pk), actor=actor)
    with pytest.raises(Conflict) as refusal:
        configs.create(factories.coupon(bond, supersedes=old.pk), actor=actor)
    assert refusal.value.code == "config_superseded"
    assert YieldConfig.objects.count() == 2


def test_a_refused_version_leaves_the_old_one_current(bond, actor):
    old = configs.create(factories.coupon(bond), actor=actor)
    with pytest.raises(Invalid):
        configs.create(factories.coupon(bond, coupon_rate=Decimal(5), supersedes=old.pk), actor=actor)
    old.refresh_from_db()
    assert old.superseded_at is None


@pytest.mark.parametrize("ended", [{}, {"status": "cancelled", "completed_at": factories.YIELD_TIME}])
def test_a_version_of_a_coupon_that_was_run_keeps_its_period(bond, actor, ended):
    old = configs.create(factories.coupon(bond), actor=actor)
    factories.run(old, **ended)
    shifted = factories.coupon(bond, interest_period_end=date(2026, 7, 2), supersedes=old.pk)
    with pytest.raises(Invalid) as refusal:
        configs.create(shifted, actor=actor)
    assert refusal.value.code == "period_overlap"
    assert configs.create(factories.coupon(bond, supersedes=old.pk), actor=actor).version == 2


def test_what_can_be_configured_can_be_computed():
    assert set(DayCount.values) == set(DAY_COUNTS)
    assert set(Rounding.values) == set(ROUNDING_MODES)
