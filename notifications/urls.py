"""The investor's addresses, below /notifications."""

from django.urls import path

from notifications import api

urlpatterns = [
    path("", api.NotificationListView.as_view(), name="notifications"),
    path("/mark-read", api.MarkReadView.as_view(), name="notifications-mark-read"),
    path("/mark-all-read", api.MarkAllReadView.as_view(), name="notifications-mark-all-read"),
    path("/preferences", api.PreferencesView.as_view(), name="notifications-preferences"),
]
