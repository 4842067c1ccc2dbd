"""One shape for every error of the API, {"code", "message", "field"}, and one page for the console's. Nothing internal leaks."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as default_exception_handler
from rest_framework.views import set_rollback

from bonds.chain.gateway import ChainUnavailable
from bonds.errors import DomainError
from config.console.site import BANNER

API_PREFIXES = ("/admin/", "/api/", "/notifications", "/health/", "/metrics")
RETRY_AFTER_SECONDS = "10"


def body(code: str, message: str, field: str | None = None) -> dict[str, str | None]:
    return {"code": code, "message": message, "field": field}


# --- raised inside an API view -----------------------------------------------------------------------------------------


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """What REST framework calls for anything a view raises. None for the unexpected: that is a 500, logged with its traceback."""
    if isinstance(error, DomainError):
        set_rollback()
        return Response(body(error.code, error.message, error.field), status=error.status)
    if isinstance(error, ChainUnavailable):
        set_rollback()
        message = "The chain cannot be reached; nothing was changed. Try again shortly."
        return Response(body("chain_unavailable", message), status=503, headers={"Retry-After": RETRY_AFTER_SECONDS})
    if isinstance(error, Http404):
        error = exceptions.NotFound()  # its own message would name the model
    response = default_exception_handler(error, context)
    if response is not None and isinstance(error, exceptions.ValidationError):
        response.data = body(*_first(error.detail))
    elif response is not None:
        response.data = body(*_plain(error))
    return response


def _plain(error: Exception) -> tuple[str, str]:
    if isinstance(error, exceptions.APIException) and isinstance(error.detail, exceptions.ErrorDetail):
        return str(error.detail.code), str(error.detail)
    if isinstance(error, exceptions.APIException) and isinstance(error.detail, dict):  # a refused token carries a dict
        return str(error.default_code), str(error.detail.get("detail", error.default_detail))
    return exceptions.PermissionDenied.default_code, str(exceptions.PermissionDenied.default_detail)


def _first(detail: Any, path: tuple[str, ...] = ()) -> tuple[str, str, str | None]:
    """The first refusal in a tree of them, with the dotted path of its field (None when it is about the whole)."""
    if isinstance(detail, dict):
        key, inner = next(iter(detail.items()))
        return _first(inner, path if key == api_settings.NON_FIELD_ERRORS_KEY else (*path, str(key)))
    if isinstance(detail, list):
        place, inner = next((at, item) for at, item in enumerate(detail) if item)
        return _first(inner, (*path, str(place)) if isinstance(inner, dict | list) else path)
    return str(detail.code), str(detail), ".".join(path) or None


# --- everything else -----------------------------------------------------------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 400, "bad_request", "This request cannot be understood.")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 403, "permission_denied", "You do not have permission for this.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _answer(request, 403, "csrf_failed", "This form is out of date. Go back, reload the page and try again.")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 404, "not_found", "Not found.")


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, 500, "internal_error", "Something went wrong on our side. It has been logged.")


def locked_out(request: HttpRequest, credentials: Any = None, *args: Any) -> HttpResponse:
    """Too many wrong passwords for one name from one address."""
    return _answer(request, 429, "locked_out", "Too many failed log-ins. Wait a quarter of an hour and try again.")


def _answer(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    if request.path_info.startswith(API_PREFIXES):
        return JsonResponse(body(code, message), status=status)
    # Without the request on purpose: this page must work when the database, and so the session, does not.
    page = render_to_string("console/error.html", {"title": message, "status": status, "console_banner": BANNER})
    return HttpResponse(page, status=status)
