"""What `settings` says to REST framework and to the maker of the OpenAPI document."""

from core.schema_headers import HEADERS

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.negotiation.JsonNegotiation",
    "DEFAULT_PARSER_CLASSES": ["core.parsing.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "core.pagination.BoundedPagination",
    "DEFAULT_SCHEMA_CLASS": "core.schema.ProblemAutoSchema",
    # A list as CSV is a path of its own; `format` is as unknown as every other parameter.
    "URL_FORMAT_OVERRIDE": None,
    # OPTIONS describes nothing: the OpenAPI document does.
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "core.api.problem_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Notification platform",
    "DESCRIPTION": "Send notifications, follow them, and find out why. Bodies are UTF-8 JSON of up "
    "to 1 MiB and 32 levels; no string or name in them holds U+0000 or half a surrogate pair. "
    "A method that a path does not take is answered with 405 and `Allow`.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "APPEND_COMPONENTS": {"headers": HEADERS},
    # Several things have a `status` or a `reason`: a name for each list of choices.
    "ENUM_NAME_OVERRIDES": {
        "MessageReasonEnum": "messaging.models.Reason",
        "SuppressionReasonEnum": "messaging.models.suppression.Suppression.Reason",
        "MessageStatusEnum": "messaging.story.SHOWN_STATUSES",
        "VersionStatusEnum": "templates_app.models.VersionStatus",
    },
}
