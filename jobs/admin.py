"""The console's pages of the queue: look at everything, decide about dead letters with a reason, change nothing by hand."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from jobs import console, metrics, review
from jobs.deadletters import bounded
from jobs.errors import Refused, TooBroad
from jobs.models import Job, JobAttempt, JobDecision, JobOperation, Worker
from jobs.service import registry
from jobs.states import LIVE, OPEN_RESOLUTIONS, Status

REVIEW = "jobs.review_job"
DECISIONS_AT_ONCE = 100
_COUNT_AT_MOST = 10_000
_DECIDE: dict[str, Callable[[Job, str, str], Job]] = {
    "retry": review.retry,
    "discard": review.discard,
    "cancel": review.cancel,
    "cancel-tree": review.cancel_tree,
}
_DONE = {
    "retry": "retried",
    "discard": "discarded",
    "cancel": "cancelled",
    "cancel-tree": "cancelled with its children",
}


class EstimatePaginator(Paginator):
    """Never counts a big table: PostgreSQL's own estimate for everything, and at most 10,000 for a filtered list."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Job] = self.object_list  # type: ignore[assignment]
        if not rows.query.where and (estimate := metrics.estimated_rows(rows.model._meta.db_table)) is not None:
            return estimate
        return rows.order_by()[:_COUNT_AT_MOST].count()


class JobTypeFilter(admin.SimpleListFilter):
    """The types of the registry; asking the table for its distinct types would read all of it."""

    title = "job type"
    parameter_name = "job_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(registry().types)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(job_type=self.value()) if self.value() else queryset


class ServiceFilter(admin.SimpleListFilter):
    title = "service"
    parameter_name = "service"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(service.name, service.name) for service in registry().services]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(service=self.value()) if self.value() else queryset


class _ReadOnly:
    """Nobody adds, edits or deletes these rows by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class _PartOfJob(_ReadOnly):
    """Whoever may see the job may see what happened to it."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True


class AttemptInline(_PartOfJob, admin.StackedInline):
    model = JobAttempt
    extra = 0
    ordering = ("-id",)
    verbose_name_plural = "attempts that did not end well"
    fields = ("outcome", "error", "worker", "started_at", "ended_at", "traceback_text")
    readonly_fields = fields

    @admin.display(description="traceback")
    def traceback_text(self, attempt: JobAttempt) -> SafeString | str:
        return format_html("<pre>{}</pre>", attempt.traceback) if attempt.traceback else "-"


class DecisionInline(_PartOfJob, admin.TabularInline):
    model = JobDecision
    extra = 0
    ordering = ("-id",)
    fields = ("decision", "actor", "reason", "decided_at", "diff_text", "operation")
    readonly_fields = fields

    @admin.display(description="difference")
    def diff_text(self, decision: JobDecision) -> SafeString | str:
        return format_html("<pre>{}</pre>", json.dumps(decision.diff, indent=2)) if decision.diff else "-"


@admin.register(Job)
class JobAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = (
        "id",
        "job_type",
        "status_text",
        "attempts",
        "run_at",
        "started_at",
        "finished_at",
        "processed_by",
        "why",
    )
    list_filter = (("status", admin.ChoicesFieldListFilter), JobTypeFilter, ServiceFilter)
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the table
    paginator = EstimatePaginator
    ordering = ("-id",)
    sortable_by = ("id",)
    search_fields = ("id",)
    search_help_text = "A job's number or its whole unique key"
    actions = ("retry_selected", "discard_selected")
    inlines = (AttemptInline, DecisionInline)
    change_form_template = "admin/jobs/job_page.html"
    change_list_template = "admin/jobs/job_list.html"
    fieldsets = (
        (None, {"fields": ("job_type", "service", "status_text", "wait_reason", "note", "last_error", "payload_text")}),
        (
            "Times",
            {"fields": ("created_at", "run_at", "started_at", "finished_at", "processed_by", "lease_expires_at")},
        ),
        ("Attempts", {"fields": ("attempts", "max_retries", "rescue_count", "priority", "unique_key")}),
        ("Family", {"fields": ("parent_link", "children_open", "children_link")}),
        ("Decision", {"fields": ("resolution", "resolved_by", "resolved_at", "resolution_reason")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> list[str]:
        return [name for _, options in self.fieldsets for name in options["fields"]]  # type: ignore[misc]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """By primary key, or by the whole unique key: both through an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        # Shaped after the two indexes that can answer: the keys that are held, and the dead letters.
        by_key = Q(job_type__in=sorted(registry().types), unique_key=term, resolution__in=OPEN_RESOLUTIONS) | Q(
            status=Status.FAILED, unique_key=term
        )
        if term.isdecimal() and len(term) < 19:
            by_key |= Q(pk=int(term))
        return queryset.filter(by_key), False

    def get_urls(self) -> list[URLPattern]:
        decide = path("decide/<str:decision>/", self.admin_site.admin_view(self.decide_view), name="jobs_decide")
        return [decide, *console.urls(), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST":
            return super().changelist_view(request, extra_context)
        try:
            with bounded():
                page = super().changelist_view(request, extra_context)
                return page.render() if isinstance(page, TemplateResponse) else page
        except TooBroad as error:
            self.message_user(request, f"{error}.", messages.ERROR)
            return HttpResponseRedirect(reverse("admin:jobs_dead_letters"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        decisions = _possible(job) if job and request.user.has_perm(REVIEW) else ()
        can_edit = job is not None and "retry" in decisions and review.can_edit(job.job_type)
        extra = {"decisions": decisions, "can_edit_payload": can_edit}
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(REVIEW)

    @admin.action(description="Retry the selected dead letters …", permissions=["review"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        return self._to_confirmation(request, "retry", queryset)

    @admin.action(description="Discard the selected dead letters …", permissions=["review"])
    def discard_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        return self._to_confirmation(request, "discard", queryset)

    def _to_confirmation(self, request: HttpRequest, decision: str, queryset: QuerySet[Job]) -> HttpResponse | None:
        ids = [str(pk) for pk in queryset.values_list("pk", flat=True)[: DECISIONS_AT_ONCE + 1]]
        if len(ids) > DECISIONS_AT_ONCE:
            self.message_user(request, f"At most {DECISIONS_AT_ONCE} jobs at once.", messages.ERROR)
            return None
        return HttpResponseRedirect(f"{reverse('admin:jobs_decide', args=[decision])}?ids={','.join(ids)}")

    def decide_view(self, request: HttpRequest, decision: str) -> HttpResponse:
        """The confirmation page, and on POST the decision about each job by itself: one refusal does not undo the others."""
        if not self.has_review_permission(request) or decision not in _DECIDE:
            raise PermissionDenied
        ids = [int(part) for part in request.GET.get("ids", "").split(",") if part.isdecimal()][:DECISIONS_AT_ONCE]
        jobs = list(Job.objects.filter(pk__in=ids).order_by("pk"))
        reason = request.POST.get("reason", "").strip()
        if request.method == "POST" and reason:
            self._decide(request, decision, jobs, reason)
            return HttpResponseRedirect(_back(jobs))
        context = {
            **self.admin_site.each_context(request),
            "title": f"{decision.partition('-')[0].capitalize()} {len(jobs)} job{'s' * (len(jobs) != 1)}",
            "decision": decision,
            "verb": decision.partition("-")[0],
            "jobs": jobs,
            "back": _back(jobs),
            "is_reason_missing": request.method == "POST",
            "opts": Job._meta,
        }
        return render(request, "admin/jobs/decide.html", context)

    def _decide(self, request: HttpRequest, decision: str, jobs: Sequence[Job], reason: str) -> None:
        done = 0
        for job in jobs:
            try:
                _DECIDE[decision](job, request.user.get_username(), reason)
                done += 1
            except Refused as refusal:
                self.message_user(request, str(refusal), messages.ERROR)
        if done:
            self.message_user(request, f"{done} job{'s' * (done != 1)} {_DONE[decision]}.", messages.SUCCESS)

    @admin.display(description="status", ordering=None)
    def status_text(self, job: Job) -> str:
        return f"{job.status} ({job.resolution})" if job.resolution else job.status

    @admin.display(description="why")
    def why(self, job: Job) -> str:
        return (job.wait_reason or job.last_error)[:120]

    @admin.display(description="payload")
    def payload_text(self, job: Job) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(job.payload, indent=2, sort_keys=True))

    @admin.display(description="parent")
    def parent_link(self, job: Job) -> SafeString | str:
        if job.parent_id is None:
            return "-"
        return format_html('<a href="{}">{}</a>', reverse("admin:jobs_job_change", args=[job.parent_id]), job.parent_id)

    @admin.display(description="children")
    def children_link(self, job: Job) -> SafeString | str:
        if job.pk is None or not job.children.exists():
            return "-"
        return format_html('<a href="{}?parent={}">show</a>', reverse("admin:jobs_job_changelist"), job.pk)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "parent" or super().lookup_allowed(lookup, value, request)


def _possible(job: Job) -> tuple[str, ...]:
    if job.status == Status.FAILED and job.resolution in OPEN_RESOLUTIONS:
        return ("retry", "discard")
    if job.status not in LIVE:
        return ()
    return ("cancel-tree",) if job.children_open else ("cancel",)


def _back(jobs: Sequence[Job]) -> str:
    if len(jobs) == 1:
        return reverse("admin:jobs_job_change", args=[jobs[0].pk])
    return reverse("admin:jobs_job_changelist")


@admin.register(Worker)
class WorkerAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ("name", "beat", "services_text", "running", "memory", "started_at")
    ordering = ("-heartbeat_at",)

    @admin.display(description="last heartbeat", ordering="heartbeat_at")
    def beat(self, worker: Worker) -> str:
        return f"{timesince(worker.heartbeat_at)} ago"

    @admin.display(description="services")
    def services_text(self, worker: Worker) -> str:
        return ", ".join(worker.services)

    @admin.display(description="jobs now")
    def running(self, worker: Worker) -> str:
        return ", ".join(str(job_id) for job_id in worker.job_ids) or "idle"

    @admin.display(description="memory")
    def memory(self, worker: Worker) -> str:
        return f"{worker.rss_bytes // 2**20} MB"


@admin.register(JobOperation)
class OperationAdmin(_ReadOnly, admin.ModelAdmin):
    """The list; a row leads to the operation's own page."""

    list_display = ("id", "action", "status_chip", "progress", "reason", "actor", "confirmed_by", "created_at")
    list_filter = ("status", "action")
    ordering = ("-id",)
    sortable_by = ("id",)
    list_per_page = 50
    show_full_result_count = False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        shown = self.get_object(request, object_id)
        if shown is None:
            return HttpResponseRedirect(reverse("admin:jobs_joboperation_changelist"))
        return HttpResponseRedirect(reverse("admin:jobs_operation_page", args=[shown.pk]))

    @admin.display(description="status", ordering=None)
    def status_chip(self, operation: JobOperation) -> SafeString:
        shown = "processing" if operation.status == JobOperation.Status.RUNNING else operation.status
        return format_html('<span class="chip chip-{}">{}</span>', shown, operation.status)

    @admin.display(description="reached")
    def progress(self, operation: JobOperation) -> str:
        reached = operation.done + operation.skipped + operation.errored
        return f"{reached:,} of {operation.total:,}"
