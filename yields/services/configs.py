"""Make, change and supersede yield configs. Every rule of the input is checked before anything is stored; the error names its field."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from bonds.errors import Conflict, Invalid, NotFound
from bonds.models import Bond
from yields.models import YieldConfig, YieldDistribution
from yields.services.coupon_rules import CouponInput, check, refuse_if


def record_moment(config: YieldConfig) -> datetime:
    """When the holders are frozen: `record_at`, or else the last microsecond of the UTC day before the yield time."""
    if config.record_at is not None:
        return config.record_at
    yield_day = config.yield_time.astimezone(UTC).date()
    return datetime.combine(yield_day, time.min, tzinfo=UTC) - timedelta(microseconds=1)


def create(coupon: CouponInput, *, actor: AbstractBaseUser) -> YieldConfig:
    """Store a new config, or with `supersedes` a new version of one. Raises NotFound, Invalid or Conflict; then nothing is stored."""
    with transaction.atomic():
        bond = _bond(coupon)
        previous = _lock_superseded(coupon, bond)
        check(coupon, bond)
        _check_period_free(coupon, bond, ignore=previous)
        if previous is not None:
            YieldConfig.objects.filter(pk=previous.pk).update(superseded_at=timezone.now())
        config = YieldConfig(
            created_by_id=actor.pk, supersedes=previous, version=previous.version + 1 if previous else 1
        )
        return _store(config, coupon, bond)


def update(config_id: UUID, coupon: CouponInput) -> YieldConfig:
    """Replace a config that has no run yet. Raises NotFound, Invalid, or Conflict ("config_in_use", "config_superseded")."""
    with transaction.atomic():
        config = lock(config_id)
        refuse_unless_editable(config)
        bond = _bond(coupon)
        if bond.pk != config.bond_id:
            raise Invalid("a config stays with its bond", code="bond_differs", field="bond_metadata_id")
        if coupon.supersedes is not None and coupon.supersedes != config.supersedes_id:
            raise Invalid("supersedes is set when a version is made", code="supersedes_differs", field="supersedes")
        check(coupon, bond)
        _check_period_free(coupon, bond, ignore=config)
        return _store(config, coupon, bond)


def validate(coupon: CouponInput, *, config_id: UUID | None = None) -> None:
    """Raise what create (or update of `config_id`) would refuse now; store nothing."""
    bond = _bond(coupon)
    ignored = config_id or coupon.supersedes
    check(coupon, bond)
    _check_period_free(coupon, bond, ignore=YieldConfig.objects.filter(pk=ignored).first() if ignored else None)


def lock(config_id: UUID) -> YieldConfig:
    """The config under a row lock, so that an edit and a trigger of it run one after the other. NotFound when there is none."""
    config = YieldConfig.objects.select_for_update(of=("self",)).select_related("bond").filter(pk=config_id).first()
    if config is None:
        raise NotFound(f"no yield config {config_id}", field="yield_config_id")
    return config


def is_editable(config: YieldConfig) -> bool:
    """True while the config has neither a run nor a successor."""
    return config.superseded_at is None and not config.runs.exists()


def refuse_unless_editable(config: YieldConfig) -> None:
    """Raise the Conflict that says why this config is read-only."""
    if config.superseded_at is not None:
        raise Conflict("a newer version replaces this config", code="config_superseded")
    run = config.runs.order_by("created_at").first()
    if run is not None:
        raise Conflict(
            f"run {run.pk} uses this config: make a new version with supersedes instead", code="config_in_use"
        )


def _bond(coupon: CouponInput) -> Bond:
    bond = Bond.objects.filter(pk=coupon.bond_metadata_id).first()
    if bond is None:
        raise NotFound(f"no bond {coupon.bond_metadata_id}", code="bond_not_found", field="bond_metadata_id")
    return bond


def _lock_superseded(coupon: CouponInput, bond: Bond) -> YieldConfig | None:
    if coupon.supersedes is None:
        return None
    previous = lock(coupon.supersedes)
    refuse_if(previous.bond_id != bond.pk, "supersedes names a config of another bond", "bond_differs", "supersedes")
    if previous.superseded_at is not None:
        raise Conflict("that config already has a newer version", code="config_superseded", field="supersedes")
    return previous


def _check_period_free(coupon: CouponInput, bond: Bond, *, ignore: YieldConfig | None) -> None:
    """No day of a bond belongs to two coupons: neither to two current configs, nor to a run of another period, cancelled ones included."""
    overlapping = {
        "bond": bond,
        "interest_period_start__lt": coupon.interest_period_end,
        "interest_period_end__gt": coupon.interest_period_start,
    }
    others = YieldConfig.objects.filter(**overlapping, superseded_at__isnull=True)
    other = (others if ignore is None else others.exclude(pk=ignore.pk)).first()
    if other is not None:
        raise _overlap(f"config {other.pk}", other.interest_period_start, other.interest_period_end)
    run = (
        YieldDistribution.objects.filter(
            bond=bond, period_start__lt=coupon.interest_period_end, period_end__gt=coupon.interest_period_start
        )
        .exclude(period_start=coupon.interest_period_start, period_end=coupon.interest_period_end)
        .first()
    )
    if run is not None:
        raise _overlap(f"run {run.pk}", run.period_start, run.period_end)


def _overlap(other: str, start: date, end: date) -> Invalid:
    return Invalid(
        f"the interest period overlaps {other} ({start} to {end})", code="period_overlap", field="interest_period_start"
    )


def _store(config: YieldConfig, coupon: CouponInput, bond: Bond) -> YieldConfig:
    config.bond = bond
    config.high_rate_confirmed = coupon.confirm_high_rate
    for field in _TERM_FIELDS:
        setattr(config, field, getattr(coupon, field))
    config.payment_sequence = coupon.payment_sequence or _sequence(config, bond)
    try:
        with transaction.atomic():
            config.save()
    except IntegrityError as error:  # two people at once: the database decides who was first
        if "yields_yieldconfig_no_overlap" in str(error):
            raise Invalid(
                "the interest period overlaps a config stored just now",
                code="period_overlap",
                field="interest_period_start",
            ) from error
        raise
    return config


_TERM_FIELDS = (
    "yield_type",
    "interest_period_start",
    "interest_period_end",
    "coupon_rate",
    "variable_rate",
    "profits_before_tax",
    "profit_basis",
    "profit_currency",
    "fx_rate",
    "fx_source",
    "day_count",
    "yield_time",
    "record_at",
    "rounding",
    "payment_frequency",
    "fiscal_year_end",
)


def _sequence(config: YieldConfig, bond: Bond) -> int:
    """The number of the version it replaces or had, else the next of the bond."""
    if config.payment_sequence:
        return config.payment_sequence
    if config.supersedes is not None:
        return config.supersedes.payment_sequence
    last = YieldConfig.objects.filter(bond=bond).aggregate(last=Max("payment_sequence"))["last"]
    return (last or 0) + 1
