from accounts.models.access import (
    MAX_DEDUPE_SECONDS,
    ApiKey,
    Application,
    Scope,
    all_scopes,
    validate_networks,
    validate_recipients,
    validate_region,
    validate_regions,
    validate_scopes,
    validate_time_zone,
)
from accounts.models.audit import Action, AuditEntry
from accounts.models.operator import SecondFactor, User, hash_backup_code

__all__ = [
    "MAX_DEDUPE_SECONDS",
    "Action",
    "ApiKey",
    "Application",
    "AuditEntry",
    "Scope",
    "SecondFactor",
    "User",
    "all_scopes",
    "hash_backup_code",
    "validate_networks",
    "validate_recipients",
    "validate_region",
    "validate_regions",
    "validate_scopes",
    "validate_time_zone",
]
