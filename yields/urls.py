"""The staff's addresses for coupons, below /admin/yields."""

from django.urls import path

from yields import api

urlpatterns = [
    path("/configure", api.ConfigureView.as_view(), name="yields-configure"),
    path("/distribution/<uuid:distribution_job_id>", api.DistributionView.as_view(), name="yields-distribution"),
    path("/distribution/<uuid:distribution_job_id>/pause", api.PauseView.as_view(), name="yields-pause"),
    path("/distribution/<uuid:distribution_job_id>/cancel", api.CancelView.as_view(), name="yields-cancel"),
    path("/distribution/<uuid:distribution_job_id>/resume", api.ResumeView.as_view(), name="yields-resume"),
    path("/bond/<uuid:bond_metadata_id>", api.BondConfigsView.as_view(), name="yields-bond"),
    path("/history/<uuid:bond_metadata_id>", api.HistoryView.as_view(), name="yields-history"),
    path("/<uuid:yield_config_id>", api.ConfigView.as_view(), name="yields-config"),
    path("/<uuid:yield_config_id>/trigger", api.TriggerView.as_view(), name="yields-trigger"),
]
