"""Who of those that a request names is written to, and who is not. Asked before it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.recipients import may_write_to
from core.errors import Code, DomainError, FieldError
from messaging import suppressions
from messaging.channels.base import EmailContent
from messaging.channels.simulator import FORMS, behaviour_of, is_simulated
from messaging.simulation import simulator_id

Recipients = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Fence:
    """What a caller may do: whom its application may write to (empty: everybody), and whether its
    key is one for tests."""

    allowed: Sequence[str] = ()
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """`only_sender_id`: the simulator, for messages that must go nowhere else."""

    only_sender_id: int | None = None
    warnings: tuple[FieldError, ...] = ()


def judge(
    content: EmailContent, *, channel: str, application_id: int, fence: Fence, now: datetime
) -> Judgement:
    """One query, and one more for test messages.

    Raises `DomainError`: `recipient_not_allowed`, `recipient_suppressed` if nobody is left, and
    `invalid_request` for addresses of the simulator that make no sense. Pointers are those of
    lists, `/to/0`; see `as_given`.
    """
    recipients = content.recipients()
    simulated = [is_simulated(address) for _, address in recipients]
    if any(simulated):
        _check_simulated(recipients, is_test=fence.is_test)
    if fence.allowed:
        _check_allowed(recipients, fence.allowed)
    addresses = {address.lower() for _, address in recipients}
    suppressed = suppressions.find(
        channel=channel, application_id=application_id, addresses=addresses, now=now
    )
    warnings: tuple[FieldError, ...] = ()
    if suppressed:
        words = "It is on the suppression list and is not written to."
        warnings = tuple(
            FieldError(f"/{position}", "recipient_suppressed", words)
            for position, address in recipients
            if address.lower() in suppressed
        )
        if suppressed == addresses:
            raise DomainError(
                Code.RECIPIENT_SUPPRESSED,
                "Every recipient is on the suppression list; nothing was stored.",
                errors=warnings,
            )
    is_test = fence.is_test or all(simulated)
    return Judgement(simulator_id() if is_test else None, warnings)


def as_given(errors: Sequence[FieldError], body: object) -> tuple[FieldError, ...]:
    """With `/to` for `/to/0` where `body` has an address and no list."""
    single = {
        role
        for role in ("to", "cc", "bcc")
        if isinstance(body, dict) and isinstance(body.get(role), str)
    }
    return tuple(
        FieldError(f"/{role}", error.code, error.detail)
        if (role := error.pointer[1:].partition("/")[0]) in single
        else error
        for error in errors
    )


def _check_simulated(recipients: Recipients, *, is_test: bool) -> None:
    errors = [
        FieldError(f"/{position}", "unknown_simulator_address", FORMS)
        for position, address in recipients
        if not behaviour_of(address)
    ]
    if not is_test and not all(is_simulated(address) for _, address in recipients):
        words = "It is the simulator's: a message goes to such addresses only, or to none of them."
        errors += [
            FieldError(f"/{position}", "simulator_mixed", words)
            for position, address in recipients
            if is_simulated(address)
        ]
    if errors:
        raise DomainError(
            Code.INVALID_REQUEST,
            "Some addresses of the simulator make no sense here; `errors` names them.",
            errors=tuple(errors),
        )


def _check_allowed(recipients: Recipients, allowed: Sequence[str]) -> None:
    """Nothing leaves by the simulator, so its addresses need no leave."""
    words = "Your application may write to some recipients only, and this is none of them."
    errors = tuple(
        FieldError(f"/{position}", "recipient_not_allowed", words)
        for position, address in recipients
        if not is_simulated(address) and not may_write_to(address, allowed)
    )
    if errors:
        raise DomainError(
            Code.RECIPIENT_NOT_ALLOWED,
            "Your application's list of allowed recipients leaves some out; `errors` names them.",
            errors=errors,
        )
