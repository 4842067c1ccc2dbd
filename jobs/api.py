"""The staff API of the queue: lists, one job, figures, decisions about one job. Each view calls one function of review or metrics.

Decisions about many jobs, and pauses: jobs/api_operations.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs import metrics, review
from jobs.deadletters import bounded, groups, newest_first, read_filter
from jobs.errors import BadFilter, BadPayload, Refused, TooBroad
from jobs.models import Job, JobAttempt, JobDecision
from jobs.states import TERMINAL, Status

REVIEW = "jobs.review_job"


class NotPossibleNow(APIException):
    """409: the job's state does not allow the decision; the message says why."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "not_possible_now"


class SearchTooBroad(APIException):
    """422: answering would read too much of the table; the message says how to narrow the search."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "too_broad"


@contextmanager
def refusals(within: str = "") -> Iterator[None]:
    """The queue's refusals as the API words them; nothing was changed in any of them. `within`: the field a filter came in."""
    try:
        yield
    except BadFilter as error:
        at_fault = {error.field: [str(error)]}
        raise ValidationError({within: at_fault} if within else at_fault) from None
    except BadPayload as error:
        raise ValidationError({"payload": [str(error)]}) from None
    except TooBroad as error:
        raise SearchTooBroad(str(error)) from None
    except Refused as refusal:
        raise NotPossibleNow(str(refusal)) from None


def require_review(request: Request) -> str:
    """The name of the person who decides; PermissionDenied for one who may only look."""
    if not request.user.has_perm(REVIEW):
        raise PermissionDenied
    return request.user.get_username()


class AttemptSerializer(serializers.ModelSerializer[JobAttempt]):
    class Meta:
        model = JobAttempt
        fields = ("number", "outcome", "error", "traceback", "worker", "started_at", "ended_at")


class DecisionSerializer(serializers.ModelSerializer[JobDecision]):
    class Meta:
        model = JobDecision
        fields = ("decision", "actor", "reason", "decided_at", "diff", "operation")


_SUMMARY = (
    "id",
    "job_type",
    "service",
    "status",
    "priority",
    "attempts",
    "max_retries",
    "run_at",
    "created_at",
    "started_at",
    "finished_at",
    "processed_by",
    "unique_key",
    "parent",
    "children_open",
    "wait_reason",
    "last_error",
    "resolution",
)


class JobSummarySerializer(serializers.ModelSerializer[Job]):
    class Meta:
        model = Job
        fields = _SUMMARY


class JobSerializer(serializers.ModelSerializer[Job]):
    payload = serializers.JSONField(read_only=True)
    history = AttemptSerializer(many=True, read_only=True)
    decisions = DecisionSerializer(many=True, read_only=True)

    class Meta:
        model = Job
        fields = (
            *_SUMMARY,
            "payload",
            "note",
            "rescue_count",
            "resolved_by",
            "resolved_at",
            "resolution_reason",
            "history",
            "decisions",
        )


class DeadLetterFilterSerializer(serializers.Serializer[Any]):
    """Dead letters: all that is given must hold. `fingerprint`: as the groups give it. `q`: words like `payload.run:7`, `type:…`,
    `service:…`, `error:<fingerprint>`."""

    job_type = serializers.CharField(required=False)
    service = serializers.CharField(required=False)
    fingerprint = serializers.CharField(required=False)
    failed_after = serializers.DateTimeField(required=False)
    failed_before = serializers.DateTimeField(required=False)
    q = serializers.CharField(required=False)


_DEAD_ONLY = ("fingerprint", "failed_after", "failed_before", "q")


class JobFilterSerializer(DeadLetterFilterSerializer):
    """`before`: the `next` of the page before. Of fingerprint, failed_after, failed_before and q any restricts the list to dead letters,
    as `dead_letters` does."""

    status = serializers.ChoiceField(choices=Status.choices, required=False)
    parent = serializers.IntegerField(required=False)  # type: ignore[assignment]  # a field, not the tree's parent
    dead_letters = serializers.BooleanField(default=False)
    before = serializers.IntegerField(required=False)
    limit = serializers.IntegerField(min_value=1, max_value=500, default=50)


class JobPageSerializer(serializers.Serializer[Any]):
    jobs = JobSummarySerializer(many=True)
    next = serializers.IntegerField(allow_null=True)


class DecisionRequestSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class PayloadRequestSerializer(DecisionRequestSerializer):
    payload = serializers.DictField()


class CancelRequestSerializer(DecisionRequestSerializer):
    with_children = serializers.BooleanField(default=False)


class GroupSerializer(serializers.Serializer[Any]):
    """`is_capped`: there are more than `count`. `error`: that of the newest job."""

    fingerprint = serializers.CharField()
    job_type = serializers.CharField()
    service = serializers.CharField()
    count = serializers.IntegerField()
    is_capped = serializers.BooleanField()
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    newest = serializers.IntegerField()
    error = serializers.CharField()


class PercentilesSerializer(serializers.Serializer[Any]):
    """Seconds."""

    p50 = serializers.FloatField()
    p95 = serializers.FloatField()
    p99 = serializers.FloatField()


class HealthSerializer(serializers.Serializer[Any]):
    """Of the last quarter of an hour, at most its last 10,000 completions."""

    completed = serializers.IntegerField()
    per_second = serializers.FloatField()
    failed_attempts = serializers.IntegerField()
    error_rate = serializers.FloatField()
    last_success_seconds = serializers.FloatField(allow_null=True)
    wait = PercentilesSerializer(allow_null=True)
    processing = PercentilesSerializer(allow_null=True)


class TimingsSerializer(HealthSerializer):
    """`job_type` empty: a whole service."""

    job_type = serializers.CharField(allow_blank=True)
    service = serializers.CharField()


class TableHealthSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    live_rows = serializers.IntegerField()
    dead_rows = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    vacuumed_at = serializers.DateTimeField(allow_null=True)


class ProcessSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    host = serializers.CharField()
    pid = serializers.IntegerField()
    rss_bytes = serializers.IntegerField()
    jobs = serializers.IntegerField()
    heartbeat_seconds = serializers.FloatField()
    is_alive = serializers.BooleanField()


class MachinesSerializer(serializers.Serializer[Any]):
    tables = TableHealthSerializer(many=True)
    connections = serializers.DictField(child=serializers.IntegerField())
    oldest_transaction_seconds = serializers.FloatField()
    processes = ProcessSerializer(many=True)


class FiguresSerializer(serializers.Serializer[Any]):
    by_status = serializers.DictField(child=serializers.IntegerField())
    by_type = serializers.DictField(child=serializers.DictField(child=serializers.IntegerField()))
    capped_types = serializers.ListField(child=serializers.CharField())
    is_completed_estimated = serializers.BooleanField()
    due = serializers.IntegerField()
    oldest_due_seconds = serializers.FloatField()
    dead_letters = serializers.IntegerField()
    oldest_dead_letter_seconds = serializers.FloatField()
    workers_alive = serializers.IntegerField()
    completed_last_minute = serializers.IntegerField()
    stale_results = serializers.IntegerField()
    rescues = serializers.IntegerField()
    interruptions = serializers.IntegerField()
    timings = TimingsSerializer(many=True)
    machines = MachinesSerializer()


class OpenJobTypeSerializer(HealthSerializer):
    name = serializers.CharField()
    open = serializers.DictField(child=serializers.IntegerField())


class ServiceSerializer(HealthSerializer):
    name = serializers.CharField()
    workers_alive = serializers.IntegerField()
    job_types = OpenJobTypeSerializer(many=True)


class JobListView(APIView):
    """Jobs by keyset: no page is slower than the first, and nothing is counted. Ended ones by the time of their end, others by number."""

    @extend_schema(operation_id="jobs_list", parameters=[JobFilterSerializer], responses=JobPageSerializer)
    def get(self, request: Request) -> Response:
        asked = JobFilterSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = dict(asked.validated_data)
        with refusals(), bounded():
            jobs = _page(wanted)
        following = jobs[-1].pk if len(jobs) == wanted["limit"] else None
        return Response({"jobs": JobSummarySerializer(jobs, many=True).data, "next": following})


def _page(wanted: dict[str, Any]) -> list[Job]:
    before, limit, of_status = wanted.get("before"), wanted["limit"], wanted.get("status")
    rows = Job.objects.filter(parent=wanted["parent"]) if "parent" in wanted else Job.objects.all()
    if wanted["dead_letters"] or any(name in wanted for name in _DEAD_ONLY):
        if of_status not in {None, Status.FAILED}:
            raise BadFilter("only dead letters are searched, and those are failed", "status")
        chosen = read_filter({name: wanted.get(name) for name in ("job_type", "service", *_DEAD_ONLY)})
        return newest_first(rows & chosen.rows(), before=before, limit=limit)
    rows = rows.filter(**{name: wanted[name] for name in ("status", "job_type", "service") if name in wanted})
    if of_status in TERMINAL:
        return newest_first(rows, before=before, limit=limit)
    return list((rows if before is None else rows.filter(id__lt=before)).order_by("-id")[:limit])


class DeadLetterGroupsView(APIView):
    """The dead letters that failed alike, the largest group first."""

    @extend_schema(
        operation_id="jobs_groups", parameters=[DeadLetterFilterSerializer], responses=GroupSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        asked = DeadLetterFilterSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        with refusals():
            return Response([asdict(group) for group in groups(read_filter(asked.validated_data))])


_JOB_ID = OpenApiParameter("job_id", OpenApiTypes.INT64, OpenApiParameter.PATH)


class JobDetailView(APIView):
    @extend_schema(operation_id="jobs_read", parameters=[_JOB_ID], responses=JobSerializer)
    def get(self, request: Request, job_id: int) -> Response:
        jobs = Job.objects.prefetch_related("history", "decisions")
        return Response(JobSerializer(get_object_or_404(jobs, pk=job_id)).data)


class JobRetryView(APIView):
    @extend_schema(
        operation_id="jobs_retry", parameters=[_JOB_ID], request=DecisionRequestSerializer, responses=JobSerializer
    )
    def post(self, request: Request, job_id: int) -> Response:
        actor, asked, job = _decision(request, job_id, DecisionRequestSerializer)
        with refusals():
            return Response(JobSerializer(review.retry(job, actor, asked["reason"])).data)


class JobDiscardView(APIView):
    @extend_schema(
        operation_id="jobs_discard", parameters=[_JOB_ID], request=DecisionRequestSerializer, responses=JobSerializer
    )
    def post(self, request: Request, job_id: int) -> Response:
        actor, asked, job = _decision(request, job_id, DecisionRequestSerializer)
        with refusals():
            return Response(JobSerializer(review.discard(job, actor, asked["reason"])).data)


class JobCancelView(APIView):
    """A waiting job, alone or with all its descendants that have not ended."""

    @extend_schema(
        operation_id="jobs_cancel", parameters=[_JOB_ID], request=CancelRequestSerializer, responses=JobSerializer
    )
    def post(self, request: Request, job_id: int) -> Response:
        actor, asked, job = _decision(request, job_id, CancelRequestSerializer)
        cancel = review.cancel_tree if asked["with_children"] else review.cancel
        with refusals():
            return Response(JobSerializer(cancel(job, actor, asked["reason"])).data)


class JobPayloadView(APIView):
    """Correct a dead letter's payload, where its service can judge it; retry it afterwards."""

    @extend_schema(
        operation_id="jobs_edit_payload",
        parameters=[_JOB_ID],
        request=PayloadRequestSerializer,
        responses=JobSerializer,
    )
    def post(self, request: Request, job_id: int) -> Response:
        actor, asked, job = _decision(request, job_id, PayloadRequestSerializer)
        with refusals():
            return Response(JobSerializer(review.edit_payload(job, asked["payload"], actor, asked["reason"])).data)


def _decision(
    request: Request, job_id: int, shape: type[serializers.Serializer[Any]]
) -> tuple[str, dict[str, Any], Job]:
    actor = require_review(request)
    asked = shape(data=request.data)
    asked.is_valid(raise_exception=True)
    return actor, asked.validated_data, get_object_or_404(Job, pk=job_id)


class JobStatsView(APIView):
    @extend_schema(operation_id="jobs_stats", responses=FiguresSerializer)
    def get(self, request: Request) -> Response:
        found = metrics.figures().as_dict()
        timings = [timing.as_dict() for timing in metrics.timings()]
        return Response({**found, "timings": timings, "machines": metrics.machines().as_dict()})


class JobServicesView(APIView):
    @extend_schema(operation_id="jobs_services", responses=ServiceSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(metrics.services())
