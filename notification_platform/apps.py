from django.apps import AppConfig


class PlatformConfig(AppConfig):
    name = "notification_platform"

    def ready(self) -> None:
        from notification_platform import attachment_checks, checks  # noqa: F401
