from django.contrib.admin.apps import AdminConfig


class ConsoleAdminConfig(AdminConfig):
    """django.contrib.admin with our site as the default one, and our own pages for people and tokens."""

    default_site = "config.console.site.ConsoleSite"

    def ready(self) -> None:
        super().ready()
        from config.console import access

        access.register()
