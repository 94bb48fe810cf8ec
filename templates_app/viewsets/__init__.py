from templates_app.viewsets.templates import TemplateViewSet
from templates_app.viewsets.versions import VersionViewSet

__all__ = ["TemplateViewSet", "VersionViewSet"]
