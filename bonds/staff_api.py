"""What every staff view of the API that touches money has: a named permission per method, and the Idempotency-Key header."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.views import APIView

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Same key and body: same answer, for ever. Same key, other body: 422.",
)


class StaffWithPermission(IsAdminUser):
    """Staff, and the permission the view names for this method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        needed: dict[str, str] = getattr(view, "needs", {})
        return super().has_permission(request, view) and request.user.has_perm(needed[request.method or ""])


class StaffView(APIView):
    """Each view names the permission every method needs, in `needs`; a method without one is not allowed."""

    permission_classes = (StaffWithPermission,)
    needs: ClassVar[dict[str, str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method not in self.needs:
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)
