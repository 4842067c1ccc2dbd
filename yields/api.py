"""What staff and their programs may ask about coupons. Parses, authorises, calls one service function, shows the result."""

from collections.abc import Callable
from typing import Any, ClassVar, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from bonds.errors import NotFound
from bonds.models import Bond
from bonds.services import idempotency
from bonds.staff_api import IDEMPOTENCY_KEY, StaffView
from yields.models import (
    FREQUENCIES,
    DayCount,
    ProfitBasis,
    Rounding,
    YieldConfig,
    YieldDistribution,
    YieldPayment,
    YieldType,
)
from yields.services import amounts, configs, progress, runs, steering
from yields.services.coupon_rules import CouponInput

PAGE_LIMIT = 500


class RateField(serializers.DecimalField):
    """An exact decimal of at most 18 places, as a string."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=38, decimal_places=18, **options)


@extend_schema_field(OpenApiTypes.STR)
class PlainDecimalField(serializers.Field):
    """An exact decimal shown as plain text without trailing zeros."""

    def to_representation(self, value: Any) -> str:
        return amounts.plain(value)


class CouponSerializer(serializers.Serializer[Any]):
    """One coupon. Rates are fractions per year (0.05 is 5 %); dates are UTC days; the end day itself does not count."""

    bond_metadata_id = serializers.UUIDField()
    yield_type = serializers.ChoiceField(choices=YieldType.choices)
    interest_period_start = serializers.DateField()
    interest_period_end = serializers.DateField()
    yield_time = serializers.DateTimeField(help_text="earliest execution")
    coupon_rate = RateField(required=False, allow_null=True)
    confirm_high_rate = serializers.BooleanField(required=False, help_text="needed above 0.25")
    variable_rate = RateField(required=False, allow_null=True)
    profits_before_tax = RateField(required=False, allow_null=True)
    profit_basis = serializers.ChoiceField(choices=ProfitBasis.choices, required=False, allow_blank=True)
    profit_currency = serializers.CharField(max_length=10, required=False, allow_blank=True)
    fx_rate = RateField(required=False, allow_null=True, help_text="bond currency for one unit of the profit's")
    fx_source = serializers.CharField(max_length=200, required=False, allow_blank=True)
    day_count = serializers.ChoiceField(choices=DayCount.choices, required=False)
    record_at = serializers.DateTimeField(required=False, allow_null=True)
    rounding = serializers.ChoiceField(choices=Rounding.choices, required=False)
    payment_sequence = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)
    payment_frequency = serializers.ChoiceField(choices=FREQUENCIES, required=False, allow_null=True)
    fiscal_year_end = serializers.CharField(max_length=5, required=False, allow_blank=True, help_text="MM-DD")
    face_value = RateField(required=False, allow_null=True, help_text="must equal the bond's, where given")
    supersedes = serializers.UUIDField(required=False, allow_null=True, help_text="the config this version replaces")

    def coupon(self) -> CouponInput:
        self.is_valid(raise_exception=True)
        return CouponInput(**self.validated_data)


class ConfiguredSerializer(serializers.Serializer[Any]):
    yield_config_id = serializers.UUIDField()
    success = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class UpdatedSerializer(ConfiguredSerializer):
    updated_at = serializers.DateTimeField()


class InitiatedSerializer(serializers.Serializer[Any]):
    distribution_job_id = serializers.UUIDField()
    total_recipients = serializers.IntegerField()
    estimated_total_amount = serializers.CharField(help_text="whole PLT, all its decimals")
    status = serializers.CharField(help_text="initiated")


class DistributionSerializer(serializers.Serializer[Any]):
    job_id = serializers.UUIDField(source="run.pk")
    status = serializers.CharField(
        source="shown_status", help_text="pending, processing, completed, failed or cancelled"
    )
    total_recipients = serializers.IntegerField()
    processed_recipients = serializers.IntegerField(source="totals.paid_count", help_text="paid, final on chain")
    failed_recipients = serializers.IntegerField(source="totals.review_count", help_text="a person must look")
    held_recipients = serializers.IntegerField(source="totals.held_count", help_text="owed, not payable now")
    started_at = serializers.DateTimeField(source="run.started_at", allow_null=True)
    completed_at = serializers.DateTimeField(source="run.completed_at", allow_null=True)
    error_message = serializers.CharField(allow_blank=True)
    wait_reason = serializers.CharField(allow_blank=True, help_text="why nothing moves")


class ConfigSerializer(serializers.ModelSerializer[YieldConfig]):
    yield_config_id = serializers.UUIDField(source="pk")
    bond_metadata_id = serializers.UUIDField(source="bond_id")
    coupon_rate = PlainDecimalField(allow_null=True)
    variable_rate = PlainDecimalField(allow_null=True)
    profits_before_tax = PlainDecimalField(allow_null=True)
    fx_rate = PlainDecimalField(allow_null=True)
    supersedes = serializers.UUIDField(source="supersedes_id", allow_null=True)
    distribution_job_ids = serializers.SerializerMethodField()

    class Meta:
        model = YieldConfig
        fields = (
            "yield_config_id",
            "bond_metadata_id",
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
            "payment_sequence",
            "payment_frequency",
            "fiscal_year_end",
            "version",
            "supersedes",
            "superseded_at",
            "distribution_job_ids",
            "created_at",
            "updated_at",
        )

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_distribution_job_ids(self, config: YieldConfig) -> list[UUID]:
        return [run.pk for run in config.runs.all()]


class BondConfigsSerializer(serializers.Serializer[Any]):
    yield_configs = ConfigSerializer(many=True)


class LineSerializer(serializers.Serializer[Any]):
    distribution_job_id = serializers.UUIDField(source="run_id")
    yield_config_id = serializers.UUIDField(source="run.config_id")
    investor_address = serializers.CharField(source="holder")
    bond_tokens_held = serializers.SerializerMethodField()
    payment_amount = serializers.SerializerMethodField()
    amount_units = PlainDecimalField()
    payment_date = serializers.DateTimeField(source="run.config.yield_time")
    payment_sequence = serializers.IntegerField(source="run.config.payment_sequence")
    plt_transaction_hash = serializers.CharField(source="transaction_hash", allow_null=True)
    status = serializers.SerializerMethodField()
    hold_reason = serializers.SerializerMethodField()
    calculation_details = serializers.JSONField()

    def get_bond_tokens_held(self, line: YieldPayment) -> str:
        return amounts.plain_units(int(line.bond_tokens_held_raw), line.run.terms["token_decimals"])

    def get_payment_amount(self, line: YieldPayment) -> str:
        return amounts.units_text(int(line.amount_units), line.run.terms["plt_decimals"])

    def get_status(self, line: YieldPayment) -> str:
        return progress.shown_payment_status(line)

    def get_hold_reason(self, line: YieldPayment) -> str:
        return line.payment.hold_reason if line.payment else ""


class HistorySerializer(serializers.Serializer[Any]):
    payments = LineSerializer(many=True)
    total_count = serializers.IntegerField()


class PageQuerySerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=PAGE_LIMIT, default=50)
    offset = serializers.IntegerField(min_value=0, max_value=10_000_000, default=0)


class ConfigureView(StaffView):
    needs: ClassVar = {"POST": "yields.add_yieldconfig"}

    @extend_schema(
        operation_id="yields_configure",
        request=CouponSerializer,
        responses={201: ConfiguredSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, request: Request) -> Response:
        """Configure one coupon, or with `supersedes` a new version of one."""
        serializer = CouponSerializer(data=request.data)

        def act() -> tuple[int, dict[str, Any]]:
            config = configs.create(serializer.coupon(), actor=_person(request))
            answer = {"yield_config_id": config.pk, "success": True, "created_at": config.created_at}
            return 201, dict(ConfiguredSerializer(answer).data)

        return _once(request, act)


class ConfigView(StaffView):
    needs: ClassVar = {"PUT": "yields.change_yieldconfig"}

    @extend_schema(operation_id="yields_update", request=CouponSerializer, responses=UpdatedSerializer)
    def put(self, request: Request, yield_config_id: UUID) -> Response:
        """Replace a coupon that has no run yet; 409 once it has one."""
        config = configs.update(yield_config_id, CouponSerializer(data=request.data).coupon())
        answer = {
            "yield_config_id": config.pk,
            "success": True,
            "created_at": config.created_at,
            "updated_at": config.updated_at,
        }
        return Response(UpdatedSerializer(answer).data)


class TriggerSerializer(serializers.Serializer[Any]):
    """`unclaimed_reason`: only needed where investors have not claimed their post-sale tokens yet."""

    unclaimed_reason = serializers.CharField(
        max_length=runs.REASON_AT_MOST, required=False, allow_blank=True, default=""
    )


class TriggerView(StaffView):
    needs: ClassVar = {"POST": "yields.trigger_yielddistribution"}

    @extend_schema(
        operation_id="yields_trigger",
        request=TriggerSerializer,
        responses={202: InitiatedSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, request: Request, yield_config_id: UUID) -> Response:
        """Start paying this coupon. Refused before the yield time and while another run covers the period (409)."""

        def act() -> tuple[int, dict[str, Any]]:
            asked = TriggerSerializer(data=request.data)
            asked.is_valid(raise_exception=True)
            reason = asked.validated_data["unclaimed_reason"]
            run = runs.start(yield_config_id, actor=_person(request), unclaimed_reason=reason)
            answer = {
                "distribution_job_id": run.pk,
                "total_recipients": run.expected_recipients,
                "estimated_total_amount": progress.Progress(run).total_amount,
                "status": "initiated",
            }
            return 202, dict(InitiatedSerializer(answer).data)

        return _once(request, act)


class DistributionView(StaffView):
    needs: ClassVar = {"GET": "yields.view_yielddistribution"}

    @extend_schema(operation_id="yields_distribution", responses=DistributionSerializer)
    def get(self, request: Request, distribution_job_id: UUID) -> Response:
        """How far a distribution is."""
        run = YieldDistribution.objects.filter(pk=distribution_job_id).first()
        if run is None:
            raise NotFound(f"no yield distribution {distribution_job_id}", field="distribution_job_id")
        return Response(DistributionSerializer(progress.Progress(run)).data)


class SteerSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=steering.REASON_AT_MOST)


class SteerView(StaffView):
    """One act of a person on a run, with a reason; answers how far the run is."""

    needs: ClassVar = {"POST": "yields.steer_yielddistribution"}
    act: ClassVar[Callable[..., YieldDistribution]]

    def steer(self, request: Request, run_id: UUID) -> Response:
        asked = SteerSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = type(self).act(run_id, actor=_person(request), reason=asked.validated_data["reason"])
        return Response(DistributionSerializer(progress.Progress(run)).data)


class PauseView(SteerView):
    act = staticmethod(steering.pause)

    @extend_schema(operation_id="yields_pause", request=SteerSerializer, responses=DistributionSerializer)
    def post(self, request: Request, distribution_job_id: UUID) -> Response:
        """Sign nothing more for this run until it is resumed; 409 unless it is executing."""
        return self.steer(request, distribution_job_id)


class ResumeView(SteerView):
    act = staticmethod(steering.resume)

    @extend_schema(operation_id="yields_resume", request=SteerSerializer, responses=DistributionSerializer)
    def post(self, request: Request, distribution_job_id: UUID) -> Response:
        """Let a paused run go on; 409 unless it is paused."""
        return self.steer(request, distribution_job_id)


class CancelView(SteerView):
    needs: ClassVar = {"POST": "yields.cancel_yielddistribution"}
    act = staticmethod(steering.cancel)

    @extend_schema(operation_id="yields_cancel", request=SteerSerializer, responses=DistributionSerializer)
    def post(self, request: Request, distribution_job_id: UUID) -> Response:
        """Cancel what is not signed; what is signed finishes first. 409 for a run that has ended, and while payments need review."""
        return self.steer(request, distribution_job_id)


class BondConfigsView(StaffView):
    needs: ClassVar = {"GET": "yields.view_yieldconfig"}

    @extend_schema(operation_id="yields_bond", responses=BondConfigsSerializer)
    def get(self, request: Request, bond_metadata_id: UUID) -> Response:
        """Every coupon of a bond, all versions, the latest period first."""
        _check_bond(bond_metadata_id)
        found: QuerySet[YieldConfig] = YieldConfig.objects.filter(bond=bond_metadata_id).prefetch_related("runs")
        return Response(BondConfigsSerializer({"yield_configs": found}).data)


class HistoryView(StaffView):
    needs: ClassVar = {"GET": "yields.view_yieldpayment"}

    @extend_schema(
        operation_id="yields_history",
        parameters=[OpenApiParameter("limit", int, description=f"1 to {PAGE_LIMIT}"), OpenApiParameter("offset", int)],
        responses=HistorySerializer,
    )
    def get(self, request: Request, bond_metadata_id: UUID) -> Response:
        """What each holder of a bond was owed by each run, the newest run first."""
        _check_bond(bond_metadata_id)
        query = PageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        first = query.validated_data["offset"]
        lines = progress.lines_of_bond(bond_metadata_id)
        page = lines[first : first + query.validated_data["limit"]]
        return Response(HistorySerializer({"payments": page, "total_count": lines.count()}).data)


def _once(request: Request, act: Any) -> Response:
    status, answer = idempotency.once(
        key=request.headers.get("Idempotency-Key"),
        actor=_person(request),
        path=request.path,
        body=request.data,
        act=act,
    )
    return Response(answer, status=status)


def _check_bond(bond_metadata_id: UUID) -> None:
    if not Bond.objects.filter(pk=bond_metadata_id).exists():
        raise NotFound(f"no bond {bond_metadata_id}", field="bond_metadata_id")


def _person(request: Request) -> User:
    """Who asks; the permission class lets nobody anonymous through."""
    return cast("User", request.user)
