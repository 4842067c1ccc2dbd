"""Start a run and move it through its life. Writes the run and its first job together; never computes amounts to pay, never pays."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from bonds.chain.concordium import addresses
from bonds.errors import Conflict, DomainError, Invalid
from bonds.models import BondStatus, Holding
from bonds.models.run import TERMINAL, TRANSITIONS, RunStatus
from bonds.services import audit, investments
from jobs import queue
from yields.calculations import CalculationError, round_units
from yields.models import YieldConfig, YieldDistribution
from yields.services import configs, frozen_terms
from yields.services.calculation import excluded_holders

ORCHESTRATOR = "yield_distribution"


class TransitionRefused(Conflict):
    """The run is not in a status from which it may go there; it has moved on. Nothing was changed."""

    code = "transition_refused"


@dataclass(frozen=True)
class Estimate:
    """What the trigger shows: from the holdings of this moment, aggregated by token id. The plan's totals replace it."""

    holders: int
    tokens_raw: int
    amount_units: int
    contract_holders: int


REASON_AT_MOST = 2000


def start(
    config_id: UUID,
    *,
    actor: AbstractBaseUser,
    clock: Callable[[], datetime] = timezone.now,
    unclaimed_reason: str = "",
) -> YieldDistribution:
    """Create the run of a config and enqueue its orchestrator, in one transaction. The run is `scheduled` until a worker takes it.

    `unclaimed_reason`: why the run may start although investors have not claimed their post-sale tokens yet, who will not be paid; kept
    in the audit log. Raises NotFound for an unknown config, Invalid (a reason too long) and Conflict (bond_not_success, config_superseded,
    too_early, run_exists, estimate_impossible, unclaimed_presale);
    then nothing is stored and nothing enqueued. Not idempotent: a second call finds the first run.
    """
    unclaimed_reason = unclaimed_reason.strip()
    if len(unclaimed_reason) > REASON_AT_MOST:
        raise Invalid(f"a reason of at most {REASON_AT_MOST} characters", field="unclaimed_reason")
    with transaction.atomic():
        config = configs.lock(config_id)
        refusal = why_not(config, clock())
        if refusal is not None:
            raise refusal
        unclaimed = investments.unsettled_count(config.bond)
        if unclaimed and not unclaimed_reason:
            raise Conflict(
                f"{unclaimed} investors of {config.bond.name} have not claimed their tokens and would not be paid: "
                "claim first, or say why it may start all the same",
                code="unclaimed_presale",
                field="unclaimed_reason",
            )
        terms = frozen_terms.freeze(config)
        estimate = estimate_now(config)
        run = _create(config, terms, estimate, actor)
        job = queue.enqueue(ORCHESTRATOR, {"run": str(run.pk)}, unique_key=f"{ORCHESTRATOR}:{run.pk}")
        run.job = job.pk
        run.save(update_fields=["job"])
        audit.record(
            chain=audit.of_run(run.pk),
            actor=actor.get_username(),
            act="run started",
            subject=f"yield distribution {run.pk}",
            reason=unclaimed_reason if unclaimed else "",
            after={"terms_hash": run.terms_hash, "unclaimed_investors": unclaimed},
        )
        return run


def why_not(config: YieldConfig, now: datetime) -> DomainError | None:
    """The reason why this config cannot be started now; None when it can."""
    if config.bond.status != BondStatus.SUCCESS:
        return Conflict(
            f"coupons are paid for bonds in status Success; {config.bond.name} is {config.bond.status}",
            code="bond_not_success",
        )
    if config.superseded_at is not None:
        return Conflict("a newer version replaces this config", code="config_superseded")
    existing = live_or_completed_run(config)
    if existing is not None:
        return _run_exists(existing.pk)
    if now < config.yield_time:
        return Conflict(
            f"the yield time is {config.yield_time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: not before then",
            code="too_early",
            field="yield_time",
        )
    return None


def live_or_completed_run(config: YieldConfig) -> YieldDistribution | None:
    """The run that already covers days of this config's period, whichever version it belongs to."""
    return (
        YieldDistribution.objects.filter(
            bond_id=config.bond_id,
            period_start__lt=config.interest_period_end,
            period_end__gt=config.interest_period_start,
        )
        .exclude(status=RunStatus.CANCELLED)
        .first()
    )


def estimate_now(config: YieldConfig) -> Estimate:
    """Holders and amount from the holdings of this moment. Raises Conflict ("estimate_impossible") when they cannot be computed with."""
    bond = config.bond
    frozen = frozen_terms.freeze(config)
    held = Holding.objects.filter(bond=bond, balance_raw__gt=0)
    supply_raw = int(held.aggregate(units=Sum("balance_raw"))["units"] or 0)
    holders = held.values_list("holder", flat=True).distinct()
    payable = held.exclude(holder__in=excluded_holders(frozen, holders.iterator(), _key))
    by_token = payable.values("token_id").annotate(units=Sum("balance_raw")).order_by("token_id")
    tokens = {int(row["token_id"]): int(row["units"]) for row in by_token}
    people = payable.aggregate(all=Count("holder", distinct=True))["all"]
    contracts = payable.filter(holder__startswith="<").aggregate(all=Count("holder", distinct=True))["all"]
    try:
        units = _aggregate_units(frozen, tokens, supply_raw) if tokens else 0
    except CalculationError as error:
        raise Conflict(f"the amount cannot be computed: {error}", code="estimate_impossible") from error
    return Estimate(people, sum(tokens.values()), units, contracts)


def _key(address: str) -> str:
    """The one spelling of an account; what is no address stands for itself: this is an estimate, the run itself refuses it."""
    try:
        return addresses.canonical(address)
    except ValueError:
        return address


def transition(
    run_id: UUID, to: RunStatus, *, only_from: Collection[RunStatus] = tuple(RunStatus), **fields: Any
) -> None:
    """Move a run, guarded by its present status, and set `fields` with it. Raises TransitionRefused when it may not go there.

    `only_from` narrows where the caller takes it from: what resumes after a wait must not resume what a person paused.

    Executing stamps the first start and clears what was wrong or waited for; a terminal status stamps the end.
    """
    sources = [source for source in only_from if to in TRANSITIONS[source]]
    changes: dict[str, Any] = {"completed_at": timezone.now() if to in TERMINAL else None, "wait_reason": ""}
    if to is RunStatus.EXECUTING:
        changes |= {"started_at": Coalesce("started_at", timezone.now()), "error_message": ""}
    changes |= fields
    if not YieldDistribution.objects.filter(pk=run_id, status__in=sources).update(status=to, **changes):
        raise TransitionRefused(f"run {run_id} cannot become {to} now")


def _aggregate_units(frozen: dict[str, Any], tokens: dict[int, int], supply_raw: int) -> int:
    """All balances of a token id as if one holder had them. Not compute_holder: their sum may exceed what one transfer can carry."""
    terms = frozen_terms.for_calculation(frozen, supply_raw)
    exact = sum((terms.factors(token_id).yield_per_token * raw for token_id, raw in tokens.items()), Fraction(0))
    return round_units(exact / 10**terms.token_decimals, terms.plt_decimals, terms.rounding_mode)


def _create(
    config: YieldConfig, terms: dict[str, Any], estimate: Estimate, actor: AbstractBaseUser
) -> YieldDistribution:
    try:
        with transaction.atomic():
            return YieldDistribution.objects.create(
                config=config,
                bond=config.bond,
                period_start=config.interest_period_start,
                period_end=config.interest_period_end,
                status=RunStatus.SCHEDULED,
                terms=terms,
                terms_hash=frozen_terms.digest(terms),
                expected_recipients=estimate.holders,
                expected_units=estimate.amount_units,
                triggered_by_id=actor.pk,
            )
    except IntegrityError as error:  # another version of the same coupon was started at the same moment
        existing = live_or_completed_run(config)
        if existing is None:
            raise
        raise _run_exists(existing.pk) from error


def _run_exists(run_id: UUID) -> Conflict:
    return Conflict(f"run {run_id} already covers this interest period", code="run_exists")
