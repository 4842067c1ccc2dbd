"""The staff's addresses for bonds, below /admin/bonds."""

from django.urls import path

from bonds import api

urlpatterns = [
    path("", api.BondListView.as_view(), name="bonds"),
    path("/wallets/<int:wallet_id>/lift-halt", api.LiftHaltView.as_view(), name="wallet_lift_halt"),
    path("/<uuid:bond_metadata_id>/claim", api.ClaimView.as_view(), name="bond_claim"),
    path("/<uuid:bond_metadata_id>/refund", api.RefundView.as_view(), name="bond_refund"),
    path("/<uuid:bond_metadata_id>", api.BondView.as_view(), name="bond"),
]
