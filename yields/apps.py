from django.apps import AppConfig


class YieldsConfig(AppConfig):
    name = "yields"
