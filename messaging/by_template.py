"""Which messages were made of a template, at the same cost for many and for few.

A template has many versions, and an index gives the newest messages of one version only. Left to
itself the database walks through all messages of the application, which is quick where every second
one matches and takes seconds where none does.
"""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from messaging.models import Message
from templates_app.models import TemplateVersion

# Of more versions it is cheaper to let the database choose.
MAX_VERSIONS = 100


def used_versions(code: str, *, application_id: int) -> Sequence[int]:
    """Ids of the versions of `code` by which the application has sent: of its own templates and of
    the shared ones."""
    owner = Q(template__application=application_id) | Q(template__application=None)
    sent = Message.objects.filter(template_version=OuterRef("pk"), application=application_id)
    rows = TemplateVersion.objects.filter(owner, Exists(sent), template__code=code)
    return list(rows.order_by().values_list("pk", flat=True))


def narrow_to_newest(
    messages: QuerySet[Message], versions: Sequence[int], count: int
) -> QuerySet[Message]:
    """Those of `messages`, made of `versions`, that can be among the newest `count`."""
    can = connection.features.supports_slicing_ordering_in_compound
    if not 1 < len(versions) <= MAX_VERSIONS or not can:
        return messages
    first, *others = (
        messages.filter(template_version=version).order_by("-pk").values("pk")[:count]
        for version in versions
    )
    newest = first.union(*others, all=True).order_by("-pk")[:count]
    return messages.filter(pk__in=newest)
