"""The staff's addresses for bonds, below /admin/bonds."""

from django.urls import path

from bonds import api

urlpatterns = [
    path("", api.BondListView.as_view(), name="bonds"),
    path("/<uuid:bond_metadata_id>", api.BondView.as_view(), name="bond"),
]
