"""The room's addresses alone, as the wiring mounts them."""

from django.urls import include, path

urlpatterns = [path("notifications", include("notifications.urls"))]
