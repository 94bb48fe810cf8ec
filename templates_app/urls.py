from django.urls import path

from templates_app.viewsets import TemplateViewSet, VersionViewSet

urlpatterns = [
    path(
        "templates",
        TemplateViewSet.as_view({"get": "list", "post": "create"}),
        name="template-list",
    ),
    path(
        "templates/preview", TemplateViewSet.as_view({"post": "preview"}), name="template-preview"
    ),
    path(
        "templates/<str:code>",
        TemplateViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
        ),
        name="template-detail",
    ),
    path(
        "templates/<str:code>/rollback",
        TemplateViewSet.as_view({"post": "rollback"}),
        name="template-rollback",
    ),
    path(
        "templates/<str:code>/versions",
        VersionViewSet.as_view({"get": "list", "post": "create"}),
        name="template-version-list",
    ),
    path(
        "templates/<str:code>/versions/<int:number>",
        VersionViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="template-version-detail",
    ),
    path(
        "templates/<str:code>/versions/<int:number>/publish",
        VersionViewSet.as_view({"post": "publish"}),
        name="template-version-publish",
    ),
]
