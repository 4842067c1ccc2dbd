"""What staff programs may ask about bonds: which there are, and one of them. Reads only."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bonds.models import Bond

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
