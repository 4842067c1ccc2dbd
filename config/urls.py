"""Every address of the product. `/admin/` in a browser leads to the console; below it lives the staff API."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from config import api

urlpatterns = [
    path("", RedirectView.as_view(url="/console/")),
    path("console/", admin.site.urls),
    # --- staff API ---
    path("admin", RedirectView.as_view(url="/console/")),
    path("admin/", RedirectView.as_view(url="/console/")),
    path("admin/yields", include("yields.urls")),
    path("admin/bonds", include("bonds.urls")),
    path("admin/bonds", include("maturity.urls")),
    path("admin/jobs", include("jobs.urls")),
    # --- investor API ---
    path("notifications", include("notifications.urls")),
    # --- the API about itself ---
    path("api/token", api.TokenView.as_view(), name="api-token"),
    path("api/token/revoke", api.RevokeTokenView.as_view(), name="api-token-revoke"),
    path("api/schema", api.SchemaView.as_view(), name="schema"),
    path("api/docs", admin.site.admin_view(api.DocsView.as_view()), name="docs"),
    # --- machines ---
    path("health/live", api.live, name="health-live"),
    path("health/ready", api.ready, name="health-ready"),
    path("metrics", api.MetricsView.as_view(), name="metrics"),
]

handler400 = "config.errors.bad_request"
handler403 = "config.errors.forbidden"
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"
