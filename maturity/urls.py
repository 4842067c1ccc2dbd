"""The staff's addresses for redemptions, below /admin/bonds."""

from django.urls import path

from maturity import api

urlpatterns = [
    path("/<uuid:bond_metadata_id>/maturity/trigger", api.TriggerView.as_view(), name="maturity-trigger"),
    path("/<uuid:bond_metadata_id>/maturity/history", api.HistoryView.as_view(), name="maturity-history"),
    path("/maturity/<uuid:maturity_job_id>/status", api.StatusView.as_view(), name="maturity-status"),
]
