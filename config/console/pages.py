"""The console's own pages: what is going on now, the demo mailbox, API tokens. Of these only the token page writes."""

from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.cache import cache
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from knox.models import AuthToken

from bonds.chain.gateway import ChainError
from bonds.models import Bond
from config.console import figures, queue
from config.context import chain
from notifications.services import mailbox
from notifications.templatetags.notification_formats import units

FILE_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
MAILS_PER_PAGE = 25
TOKENS_PER_PERSON = 20
BALANCE_SECONDS = 10  # how long a balance, or the news that the node is silent, is shown before the node is asked again
CCD_DECIMALS = 6


def has_mailbox() -> bool:
    return settings.EMAIL_BACKEND == FILE_BACKEND


# --- now -------------------------------------------------------------------------------------------------------------


def now_context(request: HttpRequest) -> dict[str, Any]:
    """Everything on the first page but the balances, which only the chain knows."""
    health, rows = queue.health(), figures.runs()
    halted, silent = figures.halted_wallets(), [*figures.silent_listeners(), *figures.never_read()]
    return {
        "verdict": figures.verdict(
            health=health, halted=len(halted), silent=len(silent), rows=rows, parked=figures.parked_events()
        ),
        "health": health,
        "runs": rows,
        "owed": figures.owed(),
        "notices": figures.notices(),
        "halted_wallets": halted,
        "now": timezone.now(),
    }


@require_safe
def now(request: HttpRequest) -> HttpResponse:
    """The living part of the first page."""
    return render(request, "console/_now.html", {**now_context(request), "has_mailbox": has_mailbox()})


@require_safe
def balances(request: HttpRequest) -> HttpResponse:
    """What each wallet holds on the chain. A fragment of its own: a silent node delays this box and nothing else."""
    return render(request, "console/_balances.html", {"wallets": _balances(), "now": timezone.now()})


def _balances() -> list[dict[str, Any]]:
    pairs = Bond.objects.order_by("wallet__name", "plt_token_id").values_list(
        "wallet__name", "wallet__address", "plt_token_id", "plt_decimals"
    )
    return [_balance(*pair) for pair in pairs.distinct()]


def _balance(name: str, address: str, plt_token_id: str, decimals: int) -> dict[str, Any]:
    row = {"name": name, "address": address, "plt_token_id": plt_token_id}
    key = f"console-balance:{address}:{plt_token_id}"
    known = cache.get(key)
    if known is None:
        try:
            gateway = chain()
            balance = units(gateway.token_balance_units(address, plt_token_id), decimals)
            known = {"balance": balance, "fees": units(gateway.fee_balance_microccd(address), CCD_DECIMALS)}
        except ChainError:
            known = {"balance": None, "fees": None}
        cache.set(key, known, BALANCE_SECONDS)
    return row | known


# --- mailbox ---------------------------------------------------------------------------------------------------------


@require_safe
def mailbox_page(request: HttpRequest) -> HttpResponse:
    """Mails that were written to files instead of sent, newest first."""
    if not has_mailbox():
        raise Http404
    total = mailbox.count()
    page = Paginator(range(total), MAILS_PER_PAGE).get_page(request.GET.get("page"))
    shown = mailbox.messages(limit=MAILS_PER_PAGE, offset=max(0, page.start_index() - 1))
    return _page(request, "console/mailbox.html", title="Mailbox", page=page, mails=shown, total=total)


# --- tokens ----------------------------------------------------------------------------------------------------------


class TokenForm(forms.Form):
    days = forms.TypedChoiceField(
        label="Valid for",
        coerce=int,
        choices=[(1, "1 day"), (30, "30 days"), (90, "90 days"), (365, "one year")],
        initial=30,
    )


@sensitive_variables("token")
@require_http_methods(["GET", "HEAD", "POST"])
def tokens_page(request: HttpRequest) -> HttpResponse:
    """The person's own API tokens; a new one is shown in this answer and never again."""
    form = TokenForm(request.POST or None)
    own = AuthToken.objects.filter(user=request.user).order_by("-created")
    token = ""
    if request.method == "POST" and form.is_valid():
        if own.count() >= TOKENS_PER_PERSON:
            form.add_error(None, f"You have {TOKENS_PER_PERSON} tokens. Revoke one first.")
        else:
            _, token = AuthToken.objects.create(user=request.user, expiry=timedelta(days=form.cleaned_data["days"]))
    response = _page(request, "console/tokens.html", title="API tokens", form=form, tokens=own, token=token)
    add_never_cache_headers(response)
    return response


@require_POST
def revoke_token(request: HttpRequest) -> HttpResponse:
    """Refuse one of the person's own tokens from now on."""
    gone, _ = AuthToken.objects.filter(user=request.user, digest=request.POST.get("digest", "")).delete()
    messages.success(request, "The token is revoked.") if gone else messages.error(request, "You have no such token.")
    return redirect("admin:tokens")


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    return render(request, template, {**admin.site.each_context(request), **context})
