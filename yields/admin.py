"""Coupons and their runs on the console. Parses, authorises, calls one service function, shows the result."""

from typing import Any, ClassVar, cast
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.forms.models import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.module_loading import import_string

from bonds.chain.gateway import ChainError
from bonds.errors import DomainError
from bonds.models import Bond, PaymentStatus
from bonds.models.run import TERMINAL, RunStatus
from bonds.services import investments
from yields.models import YieldConfig, YieldDistribution, YieldPayment
from yields.services import amounts, configs, frozen_terms, progress, runs, steering
from yields.services.coupon_rules import CouponInput

LINES_PER_PAGE = 100
TRIGGER_PERMISSION = "yields.trigger_yielddistribution"
STEER_PERMISSION = "yields.steer_yielddistribution"
CANCEL_PERMISSION = "yields.cancel_yielddistribution"
_STEER = {
    "pause": (steering.pause, STEER_PERMISSION),
    "resume": (steering.resume, STEER_PERMISSION),
    "cancel": (steering.cancel, CANCEL_PERMISSION),
}
_STEERED = {
    "pause": "Paused: nothing more is signed; what is on its way finishes.",
    "resume": "The run goes on.",
    "cancel": "Cancelled what was not signed; what is on its way finishes first.",
}


class CouponForm(forms.ModelForm):
    """The fields of one coupon; every rule is the service's, so that console and API cannot differ."""

    confirm_high_rate = forms.BooleanField(required=False, help_text="needed for a coupon rate above 0.25 (25 %)")

    class Meta:
        model = YieldConfig
        fields: ClassVar = [
            "bond",
            "supersedes",
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
            "rounding",
            "yield_time",
            "record_at",
            "payment_sequence",
            "payment_frequency",
            "fiscal_year_end",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "payment_sequence" in self.fields:
            self.fields["payment_sequence"].required = False
            self.fields["payment_sequence"].help_text = "empty: the next one of the bond"

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        try:
            configs.validate(self.coupon(), config_id=None if self.instance._state.adding else self.instance.pk)
        except DomainError as error:
            field = {"bond_metadata_id": "bond"}.get(error.field or "", error.field)
            self.add_error(field if field in self.fields else None, error.message)
        return cleaned

    def coupon(self) -> CouponInput:
        values = dict(self.cleaned_data)
        bond: Bond = values.pop("bond", None) or self.instance.bond
        supersedes: YieldConfig | None = values.pop("supersedes", None)
        return CouponInput(bond_metadata_id=bond.pk, supersedes=supersedes.pk if supersedes else None, **values)


@admin.register(YieldConfig)
class YieldConfigAdmin(admin.ModelAdmin):
    form = CouponForm
    list_display = (
        "bond",
        "payment_sequence",
        "yield_type",
        "interest_period_start",
        "interest_period_end",
        "shown_rate",
        "yield_time",
        "version",
        "run_status",
    )
    list_filter = ("yield_type", "bond")
    list_select_related = ("bond",)
    date_hierarchy = "yield_time"
    change_form_template = "admin/yields/yieldconfig/change_form.html"

    @admin.display(description="coupon rate")
    def shown_rate(self, config: YieldConfig) -> str:
        return "-" if config.coupon_rate is None else amounts.percent(config.coupon_rate)

    @admin.display(description="run")
    def run_status(self, config: YieldConfig) -> str:
        if config.superseded_at is not None:
            return "superseded"
        run = next(iter(config.runs.all()), None)
        return run.get_status_display() if run else "-"

    def get_queryset(self, request: HttpRequest) -> QuerySet[YieldConfig]:
        return super().get_queryset(request).prefetch_related("runs")

    def get_urls(self) -> list[URLPattern]:
        trigger = path(
            "<uuid:config_id>/trigger/", self.admin_site.admin_view(self.trigger_view), name="yields_trigger"
        )
        return [trigger, *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: YieldConfig | None = None) -> list[Any]:
        if obj is None or self.has_change_permission(request, obj):
            fields = [*CouponForm.Meta.fields, "confirm_high_rate"]
        else:
            fields = [*CouponForm.Meta.fields, "high_rate_confirmed"]
        return (
            fields if obj is None else [*fields, "version", "superseded_at", "created_by", "created_at", "updated_at"]
        )

    def get_readonly_fields(self, request: HttpRequest, obj: YieldConfig | None = None) -> list[str]:
        if obj is None:
            return []
        kept = ["bond", "supersedes", "version", "superseded_at", "created_by", "created_at", "updated_at"]
        return kept if self.has_change_permission(request, obj) else [*kept, "high_rate_confirmed"]

    def has_change_permission(self, request: HttpRequest, obj: YieldConfig | None = None) -> bool:
        """A config with a run, or with a successor, is read-only."""
        return super().has_change_permission(request, obj) and (obj is None or configs.is_editable(obj))

    def has_delete_permission(self, request: HttpRequest, obj: YieldConfig | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: YieldConfig, form: ModelForm, change: bool) -> None:
        coupon = cast(CouponForm, form).coupon()
        stored = configs.update(obj.pk, coupon) if change else configs.create(coupon, actor=cast("User", request.user))
        obj.pk = stored.pk
        obj.refresh_from_db()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {**(extra_context or {}), **self._tools(request, object_id)}
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except DomainError as error:  # somebody else was first between the check of the form and the storing
            messages.error(request, error.message)
            return HttpResponseRedirect(request.get_full_path())

    def trigger_view(self, request: HttpRequest, config_id: UUID) -> HttpResponse:
        """What will happen, from whose money; a POST starts it."""
        if not request.user.has_perm(TRIGGER_PERMISSION):
            raise PermissionDenied
        config = get_object_or_404(YieldConfig.objects.select_related("bond__wallet"), pk=config_id)
        status = 200
        if request.method == "POST":
            try:
                reason = request.POST.get("unclaimed_reason", "")
                run = runs.start(config.pk, actor=cast("User", request.user), unclaimed_reason=reason)
            except DomainError as error:
                messages.error(request, error.message)
                status = error.status
            else:
                messages.success(request, "The distribution has started.")
                return HttpResponseRedirect(reverse("admin:yields_yielddistribution_change", args=[run.pk]))
        context = {**self.admin_site.each_context(request), **_trigger_context(config), "opts": self.opts}
        return TemplateResponse(request, "admin/yields/yieldconfig/trigger.html", context, status=status)

    def _tools(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        config = self.get_object(request, object_id) if object_id else None
        if config is None:
            return {}
        return {
            "may_trigger": request.user.has_perm(TRIGGER_PERMISSION),
            "run": runs.live_or_completed_run(config),
            "is_superseded": config.superseded_at is not None,
        }


def _trigger_context(config: YieldConfig) -> dict[str, Any]:
    refusal = runs.why_not(config, timezone.now())
    context: dict[str, Any] = {
        "title": "Trigger distribution",
        "config": config,
        "refusal": refusal,
        "terms": frozen_terms.freeze(config),
        "rate": "" if config.coupon_rate is None else amounts.percent(config.coupon_rate),
        "record_at": configs.record_moment(config),
        "unclaimed": investments.unsettled_count(config.bond),
    }
    try:
        estimate = runs.estimate_now(config)
    except DomainError as error:
        return {**context, "refusal": refusal or error}
    decimals = config.bond.plt_decimals
    return {
        **context,
        **_wallet_context(config.bond, estimate.amount_units),
        "estimate": estimate,
        "estimated_amount": amounts.units_text(estimate.amount_units, decimals),
        "estimated_tokens": amounts.plain_units(estimate.tokens_raw, config.bond.token_decimals),
    }


def _wallet_context(bond: Bond, needed_units: int) -> dict[str, Any]:
    """The wallet's finalised balance; a chain that cannot be asked is said, and hinders nothing: the run itself waits for it."""
    chain = import_string(settings.JOB_CONTEXT_FACTORY)().chain
    try:
        balance = chain.token_balance_units(bond.wallet.address, bond.plt_token_id)
    except ChainError as error:
        return {"wallet_unknown": str(error) or "the chain cannot be reached"}
    return {
        "wallet_balance": amounts.units_text(balance, bond.plt_decimals),
        "wallet_shortfall": amounts.units_text(needed_units - balance, bond.plt_decimals)
        if needed_units > balance
        else "",
    }


@admin.register(YieldDistribution)
class YieldDistributionAdmin(admin.ModelAdmin):
    list_display = (
        "bond",
        "period_start",
        "period_end",
        "status",
        "recipients",
        "amount",
        "created_at",
        "completed_at",
    )
    list_filter = ("status", "bond")
    list_select_related = ("bond",)
    date_hierarchy = "created_at"
    change_form_template = "admin/yields/yielddistribution/change_form.html"

    @admin.display(description="recipients")
    def recipients(self, run: YieldDistribution) -> int:
        return progress.Progress(run).total_recipients

    @admin.display(description="amount")
    def amount(self, run: YieldDistribution) -> str:
        return f"{progress.Progress(run).total_amount} {run.terms['plt_token_id']}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:run_id>/live/", wrap(self.live_view), name="yields_distribution_live"),
            path("<uuid:run_id>/steer/<str:act>/", wrap(self.steer_view), name="yields_distribution_steer"),
            path("<uuid:run_id>/payments/", wrap(self.payments_view), name="yields_distribution_payments"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        if run is not None:
            acts = [act for act in _possible_acts(run) if request.user.has_perm(_STEER[act][1])]
            context = {"title": str(run), **_progress_context(run), **_lines_context(request, run)}
            context["steering_acts"] = acts
            extra_context = {**(extra_context or {}), **context}
        return super().change_view(request, object_id, form_url, extra_context)

    def live_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """The moving part of the page: status and figures. Reads only."""
        context = _progress_context(self._viewable(request, run_id))
        return TemplateResponse(request, "admin/yields/yielddistribution/_progress.html", context)

    def steer_view(self, request: HttpRequest, run_id: UUID, act: str) -> HttpResponse:
        """Pause or resume the run; a refusal is shown on its page, and nothing was changed."""
        if request.method != "POST" or act not in _STEER or not request.user.has_perm(_STEER[act][1]):
            raise PermissionDenied
        run = self._viewable(request, run_id)
        try:
            _STEER[act][0](run.pk, actor=cast("User", request.user), reason=request.POST.get("reason", ""))
        except DomainError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, _STEERED[act])
        return HttpResponseRedirect(reverse("admin:yields_yielddistribution_change", args=[run.pk]))

    def payments_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """One page of the holders' payments. Reads only."""
        context = _lines_context(request, self._viewable(request, run_id))
        return TemplateResponse(request, "admin/yields/yielddistribution/_payments.html", context)

    def _viewable(self, request: HttpRequest, run_id: UUID) -> YieldDistribution:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(
            YieldDistribution.objects.select_related("bond__wallet", "config", "snapshot"), pk=run_id
        )


def _possible_acts(run: YieldDistribution) -> list[str]:
    """What a person may do to the run as it stands."""
    if run.status in TERMINAL or run.cancel_requested_at:
        return []
    return [*{RunStatus.EXECUTING: ["pause"], RunStatus.PAUSED: ["resume"]}.get(RunStatus(run.status), []), "cancel"]


def _progress_context(run: YieldDistribution) -> dict[str, Any]:
    return {
        "run": run,
        "progress": progress.Progress(run),
        "plt": run.terms["plt_token_id"],
        "live_url": reverse("admin:yields_distribution_live", args=[run.pk]),
    }


def _lines_context(request: HttpRequest, run: YieldDistribution) -> dict[str, Any]:
    wanted = request.GET.get("status", "")
    lines = progress.lines_of_run(run.pk).defer("calculation_details")
    if wanted in PaymentStatus.values:
        lines = lines.filter(payment__status=wanted)
    elif wanted == progress.NOTHING_DUE:
        lines = lines.filter(amount_units=0)
    else:
        wanted = ""
    page = Paginator(lines, LINES_PER_PAGE).get_page(request.GET.get("page"))
    return {
        "run": run,
        "page": page,
        "rows": _rows(run, page),
        "status_filter": wanted,
        "status_choices": [*PaymentStatus.values, progress.NOTHING_DUE],
        "payments_url": reverse("admin:yields_distribution_payments", args=[run.pk]),
    }


def _rows(run: YieldDistribution, page: Page[YieldPayment]) -> list[dict[str, Any]]:
    return [
        {
            "position": line.position,
            "holder": line.holder,
            "tokens": amounts.plain_units(int(line.bond_tokens_held_raw), run.terms["token_decimals"]),
            "amount": amounts.units_text(int(line.amount_units), run.terms["plt_decimals"]),
            "status": progress.payment_status(line),
            "reason": (line.payment.get_hold_reason_display() or line.payment.review_reason) if line.payment else "",
            "transaction_hash": progress.transaction_hash(line),
        }
        for line in page
    ]
