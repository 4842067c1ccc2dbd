"""What an investor may ask about their own notifications. Parses, calls one service function, shows the result."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from notifications.errors import UnknownNotification
from notifications.models import Notification, UserNotificationPreferences
from notifications.services import inbox, preferences

PAGE_LIMIT = 200


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    read_at = serializers.DateTimeField(source="status.read_at", allow_null=True)

    class Meta:
        model = Notification
        fields = ("id", "notification_type", "title", "message", "priority", "created_at", "read_at")


class NotificationPageSerializer(serializers.Serializer[Any]):
    notifications = NotificationSerializer(many=True)
    total_count = serializers.IntegerField()
    unread_count = serializers.IntegerField()


class PageQuerySerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=PAGE_LIMIT, default=50)
    offset = serializers.IntegerField(min_value=0, max_value=10_000_000, default=0)
    unread = serializers.BooleanField(allow_null=True, default=None)


class MarkReadSerializer(serializers.Serializer[Any]):
    notification_ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=1000)


class MarkedSerializer(serializers.Serializer[Any]):
    marked_count = serializers.IntegerField()


class PreferencesSerializer(serializers.ModelSerializer[UserNotificationPreferences]):
    email_notifications = serializers.BooleanField()
    investment_updates = serializers.BooleanField()
    marketing_communications = serializers.BooleanField()

    class Meta:
        model = UserNotificationPreferences
        fields = ("email_notifications", "investment_updates", "marketing_communications")


class InvestorView(APIView):
    """Open to every logged-in user; what it shows is bound to that user."""

    permission_classes = (IsAuthenticated,)

    def investor(self) -> User:
        return cast("User", self.request.user)


class NotificationListView(InvestorView):
    @extend_schema(
        parameters=[
            OpenApiParameter("limit", int, description=f"1 to {PAGE_LIMIT}"),
            OpenApiParameter("offset", int),
            OpenApiParameter("unread", bool, description="true: unread only; false: read only"),
        ],
        responses=NotificationPageSerializer,
    )
    def get(self, request: Request) -> Response:
        """The caller's own notifications, newest first."""
        query = PageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        limit, offset, unread = (query.validated_data[key] for key in ("limit", "offset", "unread"))
        found = inbox.own_notifications(self.investor(), is_unread=unread)
        page = {
            "notifications": found[offset : offset + limit],
            "total_count": found.count(),
            "unread_count": inbox.own_notifications(self.investor(), is_unread=True).count(),
        }
        return Response(NotificationPageSerializer(page).data)


class MarkReadView(InvestorView):
    @extend_schema(request=MarkReadSerializer, responses=MarkedSerializer)
    def post(self, request: Request) -> Response:
        """Mark the named notifications as read: all of them, or none when one is not the caller's own (404)."""
        body = MarkReadSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            marked_count = inbox.mark_read(
                self.investor(), body.validated_data["notification_ids"], read_at=timezone.now()
            )
        except UnknownNotification as error:
            raise NotFound(str(error)) from error
        return Response({"marked_count": marked_count})


class MarkAllReadView(InvestorView):
    @extend_schema(request=None, responses=MarkedSerializer)
    def post(self, request: Request) -> Response:
        """Mark everything of the caller as read."""
        return Response({"marked_count": inbox.mark_all_read(self.investor(), read_at=timezone.now())})


class PreferencesView(InvestorView):
    @extend_schema(responses=PreferencesSerializer)
    def get(self, request: Request) -> Response:
        """The caller's preferences; everything on until they choose."""
        return Response(PreferencesSerializer(preferences.preferences_of(self.investor())).data)

    @extend_schema(request=PreferencesSerializer, responses=PreferencesSerializer)
    def put(self, request: Request) -> Response:
        """Replace all three preferences of the caller."""
        body = PreferencesSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        saved = preferences.save_preferences(self.investor(), **body.validated_data)
        return Response(PreferencesSerializer(saved).data)
