"""The staff API of decisions about many jobs: bulk operations, and pauses of types and services. Each view calls one function."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs import controls, operations
from jobs.api import DecisionRequestSerializer, refusals, require_review
from jobs.deadletters import read_filter
from jobs.models import JobOperation, JobOperationMember, Pause


# --- bulk operations -------------------------------------------------------------------------------------------------
class BulkFilterSerializer(serializers.Serializer[Any]):
    """Dead letters: all that is given must hold; nothing given means all of them. `payload`: key -> value, declared keys only."""

    job_type = serializers.CharField(required=False)
    service = serializers.CharField(required=False)
    fingerprint = serializers.CharField(required=False)
    failed_after = serializers.DateTimeField(required=False)
    failed_before = serializers.DateTimeField(required=False)
    payload = serializers.DictField(required=False)
    q = serializers.CharField(required=False)


class BulkPreviewRequestSerializer(DecisionRequestSerializer):
    action = serializers.ChoiceField(choices=JobOperation.Action.choices)
    filter = serializers.DictField()
    rate_per_second = serializers.IntegerField(
        min_value=1, max_value=operations.RATE_AT_MOST, default=operations.DEFAULT_RATE
    )


class PreviewSerializer(serializers.Serializer[Any]):
    """`sample`: the numbers of the five oldest."""

    oldest = serializers.DateTimeField()
    by_type = serializers.DictField(child=serializers.IntegerField())
    sample = serializers.ListField(child=serializers.IntegerField())


class OperationSerializer(serializers.ModelSerializer[JobOperation]):
    """`total`: what the preview met; to be typed as the `count` that confirms it."""

    filter = BulkFilterSerializer(read_only=True)
    preview = PreviewSerializer(read_only=True)

    class Meta:
        model = JobOperation
        fields = (
            "id",
            "action",
            "filter",
            "preview",
            "status",
            "actor",
            "reason",
            "rate_per_second",
            "total",
            "done",
            "skipped",
            "errored",
            "created_at",
            "confirmed_at",
            "confirmed_by",
            "finished_at",
            "cancelled_by",
            "cancel_reason",
        )

    def to_representation(self, instance: JobOperation) -> dict[str, Any]:
        # The filter as it was asked: a serializer of its own would add what is absent.
        return {**super().to_representation(instance), "filter": instance.filter, "preview": instance.preview}


class ConfirmRequestSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()


class MemberSerializer(serializers.ModelSerializer[JobOperationMember]):
    job_id = serializers.IntegerField()

    class Meta:
        model = JobOperationMember
        fields = ("job_id", "outcome", "detail", "ended_at")


class PageSerializer(serializers.Serializer[Any]):
    """`before`: the `next` of the page before."""

    before = serializers.IntegerField(required=False)
    limit = serializers.IntegerField(min_value=1, max_value=500, default=50)


class MemberFilterSerializer(serializers.Serializer[Any]):
    """`outcome`: empty for those not reached yet. `after`: the `next` of the page before."""

    outcome = serializers.ChoiceField(choices=JobOperationMember.Outcome.choices, required=False, allow_blank=True)
    after = serializers.IntegerField(required=False)
    limit = serializers.IntegerField(min_value=1, max_value=500, default=100)


class OperationPageSerializer(serializers.Serializer[Any]):
    operations = OperationSerializer(many=True)
    next = serializers.IntegerField(allow_null=True)


class MemberPageSerializer(serializers.Serializer[Any]):
    members = MemberSerializer(many=True)
    next = serializers.IntegerField(allow_null=True)


_NUMBER = OpenApiParameter("number", OpenApiTypes.INT64, OpenApiParameter.PATH)


class BulkPreviewView(APIView):
    """What a bulk retry or discard would meet: count, oldest, sample. Nothing is touched until it is confirmed with its count."""

    @extend_schema(
        operation_id="jobs_bulk_preview", request=BulkPreviewRequestSerializer, responses={201: OperationSerializer}
    )
    def post(self, request: Request) -> Response:
        actor = require_review(request)
        asked = _valid(BulkPreviewRequestSerializer, request.data)
        with refusals(within="filter"):
            made = operations.preview(
                asked["action"],
                read_filter(asked["filter"]),
                actor=actor,
                reason=asked["reason"],
                rate_per_second=asked["rate_per_second"],
            )
        return Response(OperationSerializer(made).data, status=status.HTTP_201_CREATED)


class OperationListView(APIView):
    @extend_schema(operation_id="jobs_operations", parameters=[PageSerializer], responses=OperationPageSerializer)
    def get(self, request: Request) -> Response:
        asked = _valid(PageSerializer, request.query_params)
        rows = JobOperation.objects.order_by("-pk")
        if "before" in asked:
            rows = rows.filter(pk__lt=asked["before"])
        found = list(rows[: asked["limit"]])
        following = found[-1].pk if len(found) == asked["limit"] else None
        return Response({"operations": OperationSerializer(found, many=True).data, "next": following})


class OperationView(APIView):
    @extend_schema(operation_id="jobs_operation", parameters=[_NUMBER], responses=OperationSerializer)
    def get(self, request: Request, number: int) -> Response:
        return Response(OperationSerializer(get_object_or_404(JobOperation, pk=number)).data)


class MemberListView(APIView):
    """What became of each job of an operation."""

    @extend_schema(
        operation_id="jobs_operation_members",
        parameters=[_NUMBER, MemberFilterSerializer],
        responses=MemberPageSerializer,
    )
    def get(self, request: Request, number: int) -> Response:
        asked = _valid(MemberFilterSerializer, request.query_params)
        rows = get_object_or_404(JobOperation, pk=number).members.order_by("job_id")
        if "outcome" in asked:
            rows = rows.filter(outcome=asked["outcome"])
        found = list(rows.filter(job_id__gt=asked.get("after", 0))[: asked["limit"]])
        following = found[-1].job_id if len(found) == asked["limit"] else None
        return Response({"members": MemberSerializer(found, many=True).data, "next": following})


class ConfirmView(APIView):
    """Freeze the members and start; `count` is the preview's total, typed again."""

    @extend_schema(
        operation_id="jobs_operation_confirm",
        parameters=[_NUMBER],
        request=ConfirmRequestSerializer,
        responses=OperationSerializer,
    )
    def post(self, request: Request, number: int) -> Response:
        actor = require_review(request)
        asked = _valid(ConfirmRequestSerializer, request.data)
        get_object_or_404(JobOperation, pk=number)
        with refusals():
            started = operations.confirm(number, typed_count=asked["count"], actor=actor)
        return Response(OperationSerializer(started).data)


class CancelView(APIView):
    """Stop a running operation; what is decided stays decided."""

    @extend_schema(
        operation_id="jobs_operation_cancel",
        parameters=[_NUMBER],
        request=DecisionRequestSerializer,
        responses=OperationSerializer,
    )
    def post(self, request: Request, number: int) -> Response:
        actor = require_review(request)
        asked = _valid(DecisionRequestSerializer, request.data)
        get_object_or_404(JobOperation, pk=number)
        with refusals():
            cancelled = operations.cancel(number, actor=actor, reason=asked["reason"])
        return Response(OperationSerializer(cancelled).data)


# --- pauses ----------------------------------------------------------------------------------------------------------
class PauseSerializer(serializers.ModelSerializer[Pause]):
    class Meta:
        model = Pause
        fields = ("scope", "name", "actor", "reason", "since", "resumed_at", "resumed_by", "resume_reason")


class PauseRequestSerializer(DecisionRequestSerializer):
    """Either a job type or a service."""

    job_type = serializers.CharField(required=False, default="")
    service = serializers.CharField(required=False, default="")


class PauseListView(APIView):
    @extend_schema(operation_id="jobs_pauses", responses=PauseSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(PauseSerializer(controls.paused(), many=True).data)

    @extend_schema(operation_id="jobs_pause", request=PauseRequestSerializer, responses={201: PauseSerializer})
    def post(self, request: Request) -> Response:
        """No worker claims this type, or any type of this service, until it is resumed; what runs ends by itself."""
        actor = require_review(request)
        asked = _valid(PauseRequestSerializer, request.data)
        with refusals():
            pause = controls.pause(actor=actor, **asked)
        return Response(PauseSerializer(pause).data, status=status.HTTP_201_CREATED)


class ResumeView(APIView):
    @extend_schema(operation_id="jobs_resume", request=PauseRequestSerializer, responses=PauseSerializer)
    def post(self, request: Request) -> Response:
        actor = require_review(request)
        asked = _valid(PauseRequestSerializer, request.data)
        with refusals():
            return Response(PauseSerializer(controls.resume(actor=actor, **asked)).data)


def _valid(shape: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    asked = shape(data=data)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)
