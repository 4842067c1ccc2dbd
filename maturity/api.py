"""What staff and their programs may ask about redemptions. Parses, authorises, calls one service function, shows the result."""

from typing import Any, ClassVar, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Count, Q
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from bonds.errors import NotFound
from bonds.models import Bond, PaymentStatus
from bonds.services import idempotency
from bonds.staff_api import IDEMPOTENCY_KEY, StaffView
from maturity.models import BurnStatus, MaturityRun
from maturity.services import runs

PAGE_LIMIT = 200


class TriggerSerializer(serializers.Serializer[Any]):
    plt_token_id = serializers.CharField(max_length=128)
    face_value_per_token = serializers.DecimalField(
        max_digits=38, decimal_places=18, help_text="must equal the bond's face value"
    )


class InitiatedSerializer(serializers.Serializer[Any]):
    maturity_job_id = serializers.UUIDField()
    total_recipients = serializers.IntegerField()
    total_plt_required = serializers.CharField()
    cloud_wallet_balance = serializers.CharField()
    sufficient_liquidity = serializers.BooleanField()
    status = serializers.CharField(help_text="initiated")


class RunSerializer(serializers.ModelSerializer[MaturityRun]):
    maturity_job_id = serializers.UUIDField(source="pk")
    bond_metadata_id = serializers.UUIDField(source="bond_id")
    status = serializers.CharField(
        source="shown_status", help_text="pending, processing, completed, failed or cancelled"
    )
    total_recipients = serializers.IntegerField()
    burned_recipients = serializers.IntegerField()
    processed_recipients = serializers.IntegerField(help_text="paid, final on chain")
    failed_recipients = serializers.IntegerField(help_text="a person must look")

    class Meta:
        model = MaturityRun
        fields = (
            "maturity_job_id",
            "bond_metadata_id",
            "plt_token_id",
            "status",
            "total_recipients",
            "burned_recipients",
            "processed_recipients",
            "failed_recipients",
            "started_at",
            "completed_at",
            "error_message",
        )


class HistorySerializer(serializers.Serializer[Any]):
    maturities = RunSerializer(many=True)
    total_count = serializers.IntegerField()


class PageQuerySerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=PAGE_LIMIT, default=50)
    offset = serializers.IntegerField(min_value=0, max_value=10_000_000, default=0)


class TriggerView(StaffView):
    needs: ClassVar = {"POST": "maturity.trigger_maturityrun"}

    @extend_schema(
        operation_id="maturity_trigger",
        request=TriggerSerializer,
        responses={202: InitiatedSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, request: Request, bond_metadata_id: UUID) -> Response:
        """Start a redemption. Not available in this version: always refused (409), with nothing written."""
        serializer = TriggerSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)

        def act() -> tuple[int, dict[str, Any]]:
            run = runs.start(bond_metadata_id, actor=_person(request), **serializer.validated_data)
            return 202, {"maturity_job_id": str(run.pk), "status": "initiated"}

        status, answer = idempotency.once(
            key=request.headers.get("Idempotency-Key"),
            actor=_person(request),
            path=request.path,
            body=request.data,
            act=act,
        )
        return Response(answer, status=status)


class StatusView(StaffView):
    needs: ClassVar = {"GET": "maturity.view_maturityrun"}

    @extend_schema(operation_id="maturity_status", responses=RunSerializer)
    def get(self, request: Request, maturity_job_id: UUID) -> Response:
        """How far a redemption is."""
        run = _counted().filter(pk=maturity_job_id).first()
        if run is None:
            raise NotFound(f"no redemption {maturity_job_id}", field="maturity_job_id")
        return Response(RunSerializer(run).data)


class HistoryView(StaffView):
    needs: ClassVar = {"GET": "maturity.view_maturityrun"}

    @extend_schema(
        operation_id="maturity_history",
        parameters=[OpenApiParameter("limit", int, description=f"1 to {PAGE_LIMIT}"), OpenApiParameter("offset", int)],
        responses=HistorySerializer,
    )
    def get(self, request: Request, bond_metadata_id: UUID) -> Response:
        """The redemptions of a bond, the newest first."""
        if not Bond.objects.filter(pk=bond_metadata_id).exists():
            raise NotFound(f"no bond {bond_metadata_id}", code="bond_not_found", field="bond_metadata_id")
        query = PageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        first = query.validated_data["offset"]
        found = _counted().filter(bond=bond_metadata_id)
        page = found[first : first + query.validated_data["limit"]]
        return Response(HistorySerializer({"maturities": page, "total_count": found.count()}).data)


def _counted() -> Any:
    """Runs with their figures counted from the lines and the payments."""
    return MaturityRun.objects.annotate(
        total_recipients=Count("lines"),
        burned_recipients=Count("lines", filter=Q(lines__burn_status=BurnStatus.BURNED)),
        processed_recipients=Count("lines", filter=Q(lines__payment__status=PaymentStatus.PAID)),
        failed_recipients=Count(
            "lines",
            filter=Q(lines__burn_status=BurnStatus.NEEDS_REVIEW) | Q(lines__payment__status=PaymentStatus.NEEDS_REVIEW),
        ),
    )


def _person(request: Request) -> User:
    """Who asks; the permission class lets nobody anonymous through."""
    return cast("User", request.user)
