"""The staff console: Django's admin under the product's own name, with its menu, its index page and the pages no model owns."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

# Shown on every page, the log-in page included. The approval step takes this line away.
BANNER = "No approval step yet: a run pays as soon as it is triggered."

# The menu: group, and the apps whose models it lists. An app that is not named here is listed last, under its own name.
GROUPS = (
    ("Servicing", ("bonds", "yields", "maturity")),
    ("People", ("notifications",)),
    ("Jobs", ("jobs", "django_q")),
    ("Access", ("auth", "knox", "axes")),
)
# Within a group these come first, in this order; the others follow by name.
FIRST = (
    "Bond", "YieldConfig", "YieldDistribution", "MaturityRun", "Payment", "ChainTransaction", "JournalEntry", "Wallet", "Job",
)  # fmt: skip
# Tables of a package that the product does not use: job_queue is the only queue and the record of what was done.
HIDDEN = ("Success", "Failure", "OrmQ")


class ConsoleSite(AdminSite):
    site_header = "Bond servicing"
    site_title = "Bond servicing"
    index_title = "Now"
    site_url = None
    enable_nav_sidebar = True

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from config.console import pages

        return {**super().each_context(request), "console_banner": BANNER, "has_mailbox": pages.has_mailbox()}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The menu in groups; one app alone where a page asks for it."""
        if app_label:
            return super().get_app_list(request, app_label)
        apps = {app["app_label"]: app for app in super().get_app_list(request)}
        groups = [(name, [apps.pop(label) for label in labels if label in apps]) for name, labels in GROUPS]
        groups += [(app["name"], [app]) for app in apps.values()]
        return [_group(name, members) for name, members in groups if members]

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from config.console import pages

        own = [
            path("now/", self.admin_view(pages.now), name="now"),
            path("balances/", self.admin_view(pages.balances), name="balances"),
            path("mailbox/", self.admin_view(pages.mailbox_page), name="mailbox"),
            path("tokens/", self.admin_view(pages.tokens_page), name="tokens"),
            path("tokens/revoke/", self.admin_view(pages.revoke_token), name="revoke_token"),
        ]
        return own + super().get_urls()

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from config.console import pages

        return super().index(request, {**pages.now_context(request), **(extra_context or {})})


def _group(name: str, members: list[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "app_label": members[0]["app_label"],
        "app_url": members[0]["app_url"],
        "has_module_perms": True,
        "models": sorted(_shown(members), key=_place),
    }


def _shown(members: list[Any]) -> list[Any]:
    return [model for app in members for model in app["models"] if model["object_name"] not in HIDDEN]


def _place(model: dict[str, Any]) -> tuple[int, str]:
    name = model["object_name"]
    return (FIRST.index(name) if name in FIRST else len(FIRST), model["name"])
