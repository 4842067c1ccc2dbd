"""What staff programs may ask about bonds and do with them: list, read one, claim and refund, lift the halt of a wallet's lane."""

from typing import Any, ClassVar, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.shortcuts import get_object_or_404
from django.utils.module_loading import import_string
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bonds.models import Bond, ClaimKind, Wallet
from bonds.services import claims, halts, idempotency
from bonds.staff_api import IDEMPOTENCY_KEY, StaffView

PAGE_LIMIT = 200
OFFSET_LIMIT = 1_000_000


class BondSerializer(serializers.ModelSerializer[Bond]):
    """`face_value` is per whole token, as text; decimals say how many places a token's and the PLT's base unit has."""

    class Meta:
        model = Bond
        fields = (
            "bond_metadata_id",
            "name",
            "isin",
            "status",
            "face_value",
            "currency",
            "token_decimals",
            "plt_token_id",
            "plt_decimals",
            "issue_date",
            "subscription_period_end",
            "maturity_date",
        )


class BondPageSerializer(serializers.Serializer[Any]):
    bonds = BondSerializer(many=True)
    total_count = serializers.IntegerField()


class PageQuerySerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=PAGE_LIMIT, default=50)
    offset = serializers.IntegerField(min_value=0, max_value=OFFSET_LIMIT, default=0)


class BondListView(APIView):
    @extend_schema(operation_id="admin_bonds_list", parameters=[PageQuerySerializer], responses=BondPageSerializer)
    def get(self, request: Request) -> Response:
        """Bonds by name."""
        query = PageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        first, limit = query.validated_data["offset"], query.validated_data["limit"]
        bonds = Bond.objects.order_by("name", "pk")
        page = {"bonds": bonds[first : first + limit], "total_count": bonds.count()}
        return Response(BondPageSerializer(page).data)


class BondView(APIView):
    @extend_schema(responses=BondSerializer)
    def get(self, request: Request, bond_metadata_id: UUID) -> Response:
        """One bond."""
        return Response(BondSerializer(get_object_or_404(Bond, pk=bond_metadata_id)).data)


class LiftHaltSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=halts.REASON_AT_MOST)


class LaneSerializer(serializers.ModelSerializer[Wallet]):
    class Meta:
        model = Wallet
        fields = ("id", "name", "address", "next_sequence_number", "halted_at", "halt_reason")


class LiftHaltView(StaffView):
    needs: ClassVar[dict[str, str]] = {"POST": "bonds.lift_halt"}

    @extend_schema(request=LiftHaltSerializer, responses=LaneSerializer)
    def post(self, request: Request, wallet_id: int) -> Response:
        """Let a halted lane sign again. 409 while it is not halted, the chain cannot be asked, or an outcome is not known."""
        wallet = get_object_or_404(Wallet, pk=wallet_id)
        asked = LiftHaltSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        lifted = halts.lift(
            wallet.pk,
            actor=request.user.get_username(),
            reason=asked.validated_data["reason"],
            chain=import_string(settings.JOB_CONTEXT_FACTORY)().chain,
        )
        return Response(LaneSerializer(lifted).data)


ADDRESSES_AT_MOST = 100_000


class ClaimSerializer(serializers.Serializer[Any]):
    """Empty: everybody whose investment is open."""

    account_addresses = serializers.ListField(
        child=serializers.CharField(max_length=100), max_length=ADDRESSES_AT_MOST, required=False, default=list
    )


class RefusalSerializer(serializers.Serializer[Any]):
    address = serializers.CharField()
    reason = serializers.CharField()


class ClaimStartedSerializer(serializers.Serializer[Any]):
    batch_id = serializers.UUIDField(source="batch.pk")
    accepted = serializers.IntegerField()
    refused = RefusalSerializer(many=True)


class SettleView(StaffView):
    """Starts a batch of claims or refunds; each investment is settled once, whoever asks how often."""

    needs: ClassVar[dict[str, str]] = {"POST": "bonds.start_claimbatch"}
    kind: ClassVar[ClaimKind]

    def settle(self, request: Request, bond_metadata_id: UUID) -> Response:
        asked = ClaimSerializer(data=request.data)

        def act() -> tuple[int, dict[str, Any]]:
            asked.is_valid(raise_exception=True)
            started = claims.start(
                bond_metadata_id,
                self.kind,
                asked.validated_data["account_addresses"],
                actor=cast("User", request.user),
                account_key=import_string(settings.JOB_CONTEXT_FACTORY)().chain.account_key,
            )
            return 202, dict(ClaimStartedSerializer(started).data)

        status, answer = idempotency.once(
            key=request.headers.get("Idempotency-Key"),
            actor=cast("User", request.user),
            path=request.path,
            body=request.data,
            act=act,
        )
        return Response(answer, status=status)


class ClaimView(SettleView):
    kind = ClaimKind.CLAIM

    @extend_schema(request=ClaimSerializer, responses={202: ClaimStartedSerializer}, parameters=[IDEMPOTENCY_KEY])
    def post(self, request: Request, bond_metadata_id: UUID) -> Response:
        """Give investors of a successful raise their post-sale tokens. 409 unless the bond is Success."""
        return self.settle(request, bond_metadata_id)


class RefundView(SettleView):
    kind = ClaimKind.REFUND

    @extend_schema(request=ClaimSerializer, responses={202: ClaimStartedSerializer}, parameters=[IDEMPOTENCY_KEY])
    def post(self, request: Request, bond_metadata_id: UUID) -> Response:
        """Give investors of a failed raise their money back. 409 unless the bond is Failed."""
        return self.settle(request, bond_metadata_id)
