from accounts.admin.access import ApiKeyAdmin, ApplicationAdmin
from accounts.admin.operators import GroupAdmin, UserAdmin

__all__ = ["ApiKeyAdmin", "ApplicationAdmin", "GroupAdmin", "UserAdmin"]
