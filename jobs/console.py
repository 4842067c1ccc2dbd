"""The console's pages about many jobs: dead letters in groups, bulk operations, pauses, figures; and the edit of one payload.

Each page reads in bounded time and calls one function of review, operations or controls to act. Mounted by jobs/admin.py.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods, require_safe

from jobs import controls, metrics, operations, review
from jobs.deadletters import bounded, groups, newest_first, read_filter, searchable_keys
from jobs.errors import BadFilter, BadPayload, Refused, TooBroad
from jobs.models import Job, JobOperation, JobOperationMember, Pause
from jobs.service import registry

REVIEW = "jobs.review_job"
_VIEW = "jobs.view_job"
_PAGE = 50
_RESULTS_SHOWN = 200
_PAUSES_SHOWN = 20
_FILTER_NAMES = ("job_type", "service", "fingerprint", "failed_after", "failed_before", "q")


def urls() -> list[URLPattern]:
    """The pages, below the console's jobs."""
    pages = (
        ("dead-letters/", dead_letters, "jobs_dead_letters"),
        ("bulk/<str:action>/", bulk, "jobs_bulk"),
        ("operations/<int:number>/", operation, "jobs_operation_page"),
        ("operations/<int:number>/live/", operation_live, "jobs_operation_live"),
        ("pauses/", pauses, "jobs_pauses_page"),
        ("figures/", figures, "jobs_figures"),
        ("figures/live/", figures_live, "jobs_figures_live"),
        ("<int:number>/payload/", payload, "jobs_payload"),
    )
    return [path(route, admin.site.admin_view(view), name=name) for route, view, name in pages]


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    whole = {**admin.site.each_context(request), "may_review": request.user.has_perm(REVIEW), **context}
    return render(request, f"admin/jobs/{template}.html", whole)


def _look(request: HttpRequest) -> None:
    if not request.user.has_perm(_VIEW):
        raise PermissionDenied


def _decide(request: HttpRequest) -> str:
    if not request.user.has_perm(REVIEW):
        raise PermissionDenied
    return request.user.get_username()


# --- dead letters ----------------------------------------------------------------------------------------------------
@require_safe
def dead_letters(request: HttpRequest) -> HttpResponse:
    """The groups that failed alike, and the newest dead letters, of a filter in the address."""
    _look(request)
    asked = _asked(request.GET)
    before = request.GET.get("before", "")
    found, rows, refusal = [], [], ""
    try:
        chosen = read_filter(asked)
        found = groups(chosen)
        with bounded():
            rows = newest_first(chosen.rows(), before=int(before) if before.isdecimal() else None, limit=_PAGE + 1)
    except (BadFilter, TooBroad) as error:
        refusal = str(error)
    older = {**asked, "before": rows[_PAGE - 1].pk} if len(rows) > _PAGE else None
    return _page(
        request,
        "dead_letters",
        title="Dead letters",
        groups=[(group, _query(asked | {"fingerprint": group.fingerprint})) for group in found],
        jobs=rows[:_PAGE],
        asked=asked,
        query=_query(asked),
        older=_query(older) if older else "",
        refusal=refusal,
        types=sorted(registry().types),
        services=sorted(service.name for service in registry().services),
        keys=sorted(searchable_keys()),
    )


def _asked(given: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name in _FILTER_NAMES if (value := str(given.get(name, "")).strip())}


def _query(asked: Mapping[str, Any]) -> str:
    return urlencode(asked)


# --- bulk operations -------------------------------------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
def bulk(request: HttpRequest, action: str) -> HttpResponse:
    """Say why and how fast; the preview that follows is what gets confirmed."""
    actor = _decide(request)
    if action not in JobOperation.Action.values:
        raise Http404
    asked, refusal = _asked(request.GET), ""
    if request.method == "POST":
        try:
            made = operations.preview(
                action,
                read_filter(asked),
                actor=actor,
                reason=request.POST.get("reason", ""),
                rate_per_second=_integer(request.POST.get("rate")),
            )
        except (BadFilter, TooBroad, Refused) as error:
            refusal = str(error)
        else:
            return HttpResponseRedirect(reverse("admin:jobs_operation_page", args=[made.pk]))
    return _page(
        request,
        "bulk",
        title=f"{action.capitalize()} many dead letters",
        action=action,
        asked=asked,
        back=_query(asked),
        refusal=refusal,
        reason=request.POST.get("reason", ""),
        rate=request.POST.get("rate", operations.DEFAULT_RATE),
        rate_at_most=operations.RATE_AT_MOST,
    )


def _integer(text: str | None) -> int:
    """The number a person typed; -1, which nothing allows, for anything else."""
    digits = (text or "").strip().replace(",", "")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else -1


@require_http_methods(["GET", "HEAD", "POST"])
def operation(request: HttpRequest, number: int) -> HttpResponse:
    """The preview to confirm with its count; once running, its progress and the way to cancel it."""
    _look(request)
    shown = get_object_or_404(JobOperation, pk=number)
    refusal = ""
    if request.method == "POST":
        actor = _decide(request)
        try:
            if "confirm" in request.POST:
                operations.confirm(number, typed_count=_integer(request.POST.get("count")), actor=actor)
            elif "cancel" in request.POST:
                operations.cancel(number, actor=actor, reason=request.POST.get("reason", ""))
        except (BadFilter, Refused) as error:
            refusal = str(error)
        else:
            return HttpResponseRedirect(reverse("admin:jobs_operation_page", args=[number]))
    sample = Job.objects.filter(pk__in=shown.preview.get("sample", ())).order_by("finished_at", "pk")
    return _page(
        request,
        "operation",
        title=f"{shown.get_action_display().capitalize()} of {shown.total:,} dead letters",
        sample=list(sample),
        refusal=refusal,
        **_progress(shown),
    )


@require_safe
def operation_live(request: HttpRequest, number: int) -> HttpResponse:
    """The living part of the operation's page."""
    _look(request)
    shown = get_object_or_404(JobOperation, pk=number)
    answer = render(request, "admin/jobs/_operation.html", _progress(shown))
    if shown.status != JobOperation.Status.RUNNING:
        answer["X-Live-Stop"] = "1"
    return answer


def _progress(shown: JobOperation) -> dict[str, Any]:
    outcomes = JobOperationMember.Outcome
    told = shown.members.filter(outcome__in=[outcomes.SKIPPED, outcomes.ERRORED]).order_by("job_id")
    return {
        "operation": shown,
        "reached": shown.done + shown.skipped + shown.errored,
        "is_running": shown.status == JobOperation.Status.RUNNING,
        "results": list(told[:_RESULTS_SHOWN]) if shown.skipped or shown.errored else [],
        "results_shown": _RESULTS_SHOWN,
    }


# --- pauses ----------------------------------------------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
def pauses(request: HttpRequest) -> HttpResponse:
    """What is paused, by whom and why; pause and resume."""
    _look(request)
    refusal = ""
    if request.method == "POST":
        actor = _decide(request)
        act = controls.resume if "resume" in request.POST else controls.pause
        scope, _, name = request.POST.get("target", "").partition(":")
        names = {"job_type": name if scope == "type" else "", "service": name if scope == "service" else ""}
        try:
            done = act(actor=actor, reason=request.POST.get("reason", ""), **names)
        except Refused as error:
            refusal = str(error)
        else:
            what = "resumed" if "resume" in request.POST else "paused"
            messages.success(request, f"The {done.get_scope_display()} {done.name} is {what}.")
            return HttpResponseRedirect(reverse("admin:jobs_pauses_page"))
    return _page(
        request,
        "pauses",
        title="Pauses",
        paused=controls.paused(),
        history=list(Pause.objects.exclude(resumed_at=None).order_by("-resumed_at")[:_PAUSES_SHOWN]),
        services=registry().services,
        refusal=refusal,
    )


# --- figures ---------------------------------------------------------------------------------------------------------
@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """Every figure of jobs.metrics."""
    _look(request)
    return _page(request, "figures", title="Queue figures", **_figures())


@require_safe
def figures_live(request: HttpRequest) -> HttpResponse:
    _look(request)
    return render(request, "admin/jobs/_figures.html", _figures())


def _figures() -> dict[str, Any]:
    found, timings = metrics.figures(), metrics.timings()
    return {
        "figures": found,
        "type_timings": [timing for timing in timings if timing.job_type],
        "services": metrics.services(),
        "machines": metrics.machines(),
        "window_minutes": metrics.WINDOW_SECONDS // 60,
        "sample_rows": metrics.SAMPLE_ROWS,
    }


# --- one payload -----------------------------------------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
def payload(request: HttpRequest, number: int) -> HttpResponse:
    """Correct the payload of a dead letter; its service judges it."""
    actor = _decide(request)
    job = get_object_or_404(Job, pk=number)
    text = request.POST.get("payload", json.dumps(job.payload, indent=2, sort_keys=True))
    reason, refusal = request.POST.get("reason", ""), ""
    if request.method == "POST":
        try:
            review.edit_payload(job, json.loads(text), actor, reason)
        except (json.JSONDecodeError, RecursionError) as error:
            refusal = f"The payload is not JSON: {error}"
        except (BadPayload, Refused) as error:
            refusal = str(error)
        else:
            messages.success(request, f"The payload of job {number} was edited. Retry the job to run it.")
            return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[number]))
    return _page(
        request,
        "payload",
        title=f"Edit the payload of job {number}",
        job=job,
        text=text,
        reason=reason,
        refusal=refusal,
        can_edit=review.can_edit(job.job_type),
    )
