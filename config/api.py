"""What the API offers beside the rooms' own verbs: a bearer token, the schema with its offline docs, health and metrics."""

from datetime import timedelta
from functools import cache
from typing import Any

from django.contrib.auth import authenticate
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from knox.models import AuthToken
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.console import metrics
from config.console.site import BANNER

# --- bearer tokens ---------------------------------------------------------------------------------------------------

API_TOKEN_LIFETIME = timedelta(hours=10)


class CredentialsSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=128, trim_whitespace=False)


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class TokenView(APIView):
    """A bearer token for the holder of a username and a password; only its digest is kept."""

    authentication_classes = ()
    permission_classes = ()

    def get_authenticate_header(self, request: Request) -> str:
        return "Bearer"

    @extend_schema(request=CredentialsSerializer, responses={201: TokenSerializer}, auth=[])
    def post(self, request: Request) -> Response:
        """Make a token, shown this once. Send it as `Authorization: Bearer <token>`. Wrong guesses are counted as at the log-in page."""
        given = CredentialsSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        user = authenticate(request._request, **given.validated_data)
        if user is None:
            raise AuthenticationFailed("unknown username or wrong password", code="invalid_credentials")
        made, token = AuthToken.objects.create(user=user, expiry=API_TOKEN_LIFETIME)
        return Response(TokenSerializer({"token": token, "expires_at": made.expiry}).data, status=201)


class RevokeTokenView(APIView):
    """Gives a bearer token back."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Revoke the token this request carries; it is refused from now on."""
        if not isinstance(request.auth, AuthToken):
            raise PermissionDenied("only a bearer token can revoke itself")
        request.auth.delete()
        return Response(status=204)


# --- schema ----------------------------------------------------------------------------------------------------------


class SchemaView(SpectacularAPIView):
    """The OpenAPI description of this API. Staff only, like what it describes."""

    permission_classes = (IsAdminUser,)


class DocsView(SpectacularSwaggerSplitView):
    """The same as a page to read and try, all of it served from here."""

    permission_classes = (IsAdminUser,)
    url_name = "schema"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().get(request, *args, **kwargs)
        response.data["console_banner"] = BANNER
        return response


# --- health ----------------------------------------------------------------------------------------------------------


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """The database answers and has every migration; 503 with the reason otherwise."""
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        pending = _pending_migrations()
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "reason": "the database does not answer"}, status=503)
    if pending:
        return JsonResponse({"status": "unavailable", "reason": f"{pending} migrations are not applied"}, status=503)
    return JsonResponse({"status": "ok"})


def _pending_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


# --- metrics ---------------------------------------------------------------------------------------------------------


class PlainTextRenderer(BaseRenderer):
    """Lets a scraper that asks for text through; the body is written by the metrics registry."""

    media_type = "text/plain"
    format = "txt"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return data


@extend_schema(exclude=True)
class MetricsView(APIView):
    """The figures for Prometheus. Staff only: they tell what is owed. Give the scraper a bearer token."""

    def get_renderers(self) -> list[Any]:
        return [*super().get_renderers(), PlainTextRenderer()]

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


@cache
def _registry() -> Any:
    return metrics.registry()
