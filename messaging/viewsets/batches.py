from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, ValidationError
from rest_framework.viewsets import GenericViewSet

from accounts import quotas
from accounts.authentication import caller_of
from accounts.limits import Allowance
from accounts.models import ApiKey, Scope
from accounts.quotas import Letter
from core.api import field_errors
from core.errors import MEANINGS, Code, DomainError, FieldError
from core.problems import ProblemError
from messaging import counting, intake, scheduling
from messaging.batches import Stored, store_batch
from messaging.intake import Origin, Ready
from messaging.models import Batch
from messaging.recipients import as_given, pointers_as_given
from messaging.serializers.batches import (
    ALL_OR_NOTHING,
    BatchAccepted,
    BatchCancelled,
    BatchDetail,
    BatchRequest,
    BatchSummary,
)
from messaging.serializers.sending import SendRequest
from messaging.viewsets.answering import Once
from messaging.viewsets.sending import IDEMPOTENCY

# So many errors of a refused batch are named.
NAMED = 100


@extend_schema_view(
    list=extend_schema(
        operation_id="list_batches",
        summary="List batches",
        description="Newest first. Only your application's.",
        tags=["batches"],
    ),
    retrieve=extend_schema(
        operation_id="get_batch",
        summary="Follow a batch",
        description="With how many of its messages have each status. `GET messages?batch_id=` "
        "lists them.",
        tags=["batches"],
    ),
)
class BatchViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Batch]):
    required_scopes = {
        "create": Scope.MESSAGES_SEND,
        "cancel": Scope.MESSAGES_SEND,
        "list": Scope.MESSAGES_READ,
        "retrieve": Scope.MESSAGES_READ,
    }
    queryset = Batch.objects.none()
    max_body_setting = "MAX_BATCH_BODY_BYTES"

    def get_serializer_class(self) -> type[BaseSerializer[Batch]]:
        return BatchSummary if self.action == "list" else BatchDetail

    def get_queryset(self) -> QuerySet[Batch]:
        if getattr(self, "swagger_fake_view", False):
            return Batch.objects.none()
        return Batch.objects.filter(application=caller_of(self.request).application_id)

    @extend_schema(
        operation_id="send_batch",
        summary="Send up to 1,000 messages",
        description="All are stored in one transaction. Each item has its result, in order; with "
        "`all_or_nothing` the first wrong one refuses all.",
        request=BatchRequest,
        parameters=[IDEMPOTENCY],
        responses={
            202: OpenApiResponse(BatchAccepted, description="What is accepted is stored."),
            200: OpenApiResponse(BatchAccepted, description="It was a dry run."),
        },
        tags=["batches"],
        examples=[
            OpenApiExample(
                "A newsletter by a template",
                value={
                    "template_code": "welcome",
                    "defaults": {
                        "priority": "bulk",
                        "variables": {
                            "product": "Example",
                            "action_url": "https://example.com/start",
                        },
                    },
                    "items": [
                        {"to": "ann@example.com", "variables": {"name": "Ann"}},
                        {
                            "to": "ming@example.com",
                            "locale": "zh-hans",
                            "variables": {"name": "小明"},
                        },
                    ],
                },
                request_only=True,
            ),
        ],
    )
    def create(self, request: Request) -> HttpResponse | Response:
        once = Once(request)
        earlier = once.earlier()
        if earlier is not None:
            return earlier
        asked = BatchRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        data, now = asked.validated_data, timezone.now()
        wishes = asked.wishes(caller=caller_of(request))
        prepared = _prepared(wishes, channel=data["channel"], origin=once.origin, now=now)
        prepared = _screened(prepared, wishes, origin=once.origin, now=now)
        is_whole, is_real = data["mode"] == ALL_OR_NOTHING, not data.get("dry_run")
        if is_whole and (wrong := sum(isinstance(each, DomainError) for each in prepared)):
            raise _refused(prepared, wrong)
        letters = _take(
            prepared, once.origin.allowance, is_whole=is_whole, is_real=is_real, now=now
        )
        if not is_real:
            return Response(_told(prepared, None)[1])
        readies = [each for each in prepared if isinstance(each, Ready)]
        rejected = len(prepared) - len(readies)
        return once.answer(
            lambda: store_batch(
                readies,
                origin=once.origin,
                channel=data["channel"],
                rejected=rejected,
                now=now,
            ),
            lambda stored: _told(prepared, stored),
            letters=letters,
            now=now,
        )

    @extend_schema(
        operation_id="cancel_batch",
        summary="Cancel what is still waiting of a batch",
        description="What a worker has already is sent.",
        request=None,
        responses=BatchCancelled,
        tags=["batches"],
    )
    def cancel(self, request: Request, pk: str) -> Response:
        batch, now = self.get_object(), timezone.now()
        if caller_of(request).is_test and batch.api_key.kind != ApiKey.Kind.TEST:
            words = f"Batch {batch.pk} is not a test key's: a test key can only read it."
            raise ProblemError(Code.FORBIDDEN, words)
        cancelled = scheduling.cancel_batch(batch_id=batch.pk, now=now)
        batch.refresh_from_db()
        return Response(BatchCancelled(batch, context={"cancelled": cancelled}).data)


def _prepared(
    wishes: Sequence[SendRequest | DomainError], *, channel: str, origin: Origin, now: datetime
) -> list[Ready | DomainError]:
    """Of each what is to be stored, as far as it does not depend on the others."""
    lookups = intake.Lookups()
    prepared: list[Ready | DomainError] = []
    for wish in wishes:
        try:
            if isinstance(wish, DomainError):
                raise wish
            wish.is_valid(raise_exception=True)
            with pointers_as_given(wish.initial_data):
                ready = intake.prepare(
                    origin=origin,
                    channel=channel,
                    content=wish.wanted_content(),
                    handling=wish.handling(),
                    now=now,
                    template=wish.wanted_template(),
                    attached=wish.attached(),
                    lookups=lookups,
                    screens=False,
                )
            prepared.append(ready)
        except ValidationError as error:
            errors = tuple(field_errors(error.detail))
            code = Code.INVALID_REQUEST
            prepared.append(DomainError(code, MEANINGS[code], errors=errors))
        except DomainError as error:
            prepared.append(error)
    return prepared


def _screened(
    prepared: Sequence[Ready | DomainError],
    wishes: Sequence[SendRequest | DomainError],
    *,
    origin: Origin,
    now: datetime,
) -> list[Ready | DomainError]:
    """The same, with what is to be said of the recipients of each."""
    readies = [each for each in prepared if isinstance(each, Ready)]
    screened = iter(intake.screen(readies, origin=origin, now=now))
    found: list[Ready | DomainError] = []
    for each, wish in zip(prepared, wishes, strict=True):
        judged = next(screened) if isinstance(each, Ready) else each
        body = getattr(wish, "initial_data", None)
        if isinstance(judged, Ready) and judged.warnings:
            judged = replace(judged, warnings=as_given(judged.warnings, body))
        elif isinstance(judged, DomainError) and isinstance(each, Ready):
            errors = as_given(judged.errors, body)
            judged = DomainError(judged.code, judged.detail, errors=errors)
        found.append(judged)
    return found


def _take(
    prepared: list[Ready | DomainError],
    allowance: Allowance | None,
    *,
    is_whole: bool,
    is_real: bool,
    now: datetime,
) -> list[Letter]:
    """Take the quota of all, or of each that has some left: the others become errors in `prepared`.
    Returns what was taken for those that are left, in order. A dry run asks for all together."""
    places = [index for index, each in enumerate(prepared) if isinstance(each, Ready)]
    readies = [each for each in prepared if isinstance(each, Ready)]
    letters = counting.letters_of(readies, allowance, places)
    if is_whole or not is_real:
        quotas.take(allowance, letters, now=now, is_real=is_real)
        return letters
    refusals = quotas.take_each(allowance, letters, now=now)
    for place, refusal in zip(places if letters else (), refusals, strict=True):
        if refusal is not None:
            prepared[place] = refusal
    return [letter for letter, no in zip(letters, refusals, strict=True) if no is None]


def _told(
    prepared: Sequence[Ready | DomainError], stored: Stored | None
) -> tuple[int, dict[str, Any]]:
    """Status and body. Without `stored` it was a dry run."""
    done = iter(stored.accepted if stored else ())
    results: list[dict[str, Any]] = []
    for index, each in enumerate(prepared):
        if isinstance(each, DomainError):
            problem = {
                "code": each.code.value,
                "detail": each.detail,
                "errors": [asdict(error) for error in each.errors],
            }
            results.append({"index": index, "status": "rejected", "error": problem})
            continue
        result: dict[str, Any] = {"index": index, "status": "accepted"}
        warnings = each.warnings
        if stored is not None:
            accepted = next(done)
            warnings = accepted.warnings
            result |= {"id": str(accepted.message.pk), "deduplicated": accepted.is_duplicate}
        results.append(result | {"warnings": [asdict(warning) for warning in warnings]})
    rejected = sum(result["status"] == "rejected" for result in results)
    deduplicated = stored.batch.deduplicated if stored else 0
    body = {
        "batch_id": str(stored.batch.pk) if stored else None,
        "accepted": len(results) - rejected - deduplicated,
        "deduplicated": deduplicated,
        "rejected": rejected,
        "results": results,
    }
    return (status.HTTP_202_ACCEPTED if stored else status.HTTP_200_OK), body


def _refused(prepared: Sequence[Ready | DomainError], rejected: int) -> DomainError:
    """All that is wrong with a batch, by pointers into it."""
    errors = [
        FieldError(f"/items/{index}{error.pointer}", error.code, error.detail)
        for index, each in enumerate(prepared)
        if isinstance(each, DomainError)
        for error in (each.errors or (FieldError("", each.code.value, each.detail),))
    ]
    words = f"{rejected} of {len(prepared)} items are wrong, so nothing was stored."
    if len(errors) > NAMED:
        words += f" The first {NAMED} errors are named."
    return DomainError(Code.INVALID_REQUEST, words, errors=tuple(errors[:NAMED]))
