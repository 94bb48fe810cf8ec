"""Who of those that a request names is written to, and who is not. Asked before it is stored."""

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass

from accounts.recipients import may_write_to
from core.errors import Code, DomainError, FieldError
from core.vocabulary import Channel
from messaging.channels.content import Content
from messaging.channels.simulator import FORMS, behaviour_of, is_simulated

Recipients = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Fence:
    """What a caller may do in one channel: whom its application may write to (empty: everybody),
    and whether its key is one for tests."""

    channel: str = Channel.EMAIL
    allowed: Sequence[str] = ()
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """`goes_to_simulator`: the message must go nowhere else."""

    goes_to_simulator: bool = False
    warnings: tuple[FieldError, ...] = ()


def judge(content: Content, *, fence: Fence, suppressed: Set[str]) -> Judgement:
    """`suppressed`: those of its addresses, in lower case, and any others, that are on the list.

    Raises `DomainError`: `recipient_not_allowed`, `recipient_suppressed` if nobody is left, and
    `invalid_request` for addresses of the simulator that make no sense. Pointers are those of
    lists, `/to/0`; see `as_given`.
    """
    recipients = content.recipients()
    is_simulated_all = False
    if any(is_simulated(address) for _, address in recipients):
        _check_simulated(recipients, is_test=fence.is_test)
        is_simulated_all = all(is_simulated(address) for _, address in recipients)
    if fence.allowed:
        _check_allowed(recipients, fence)
    warnings: tuple[FieldError, ...] = ()
    if suppressed:
        words = "It is on the suppression list and is not written to."
        warnings = tuple(
            FieldError(f"/{position}", "recipient_suppressed", words)
            for position, address in recipients
            if address.lower() in suppressed
        )
        if len(warnings) == len(recipients):
            raise DomainError(
                Code.RECIPIENT_SUPPRESSED,
                "Every recipient is on the suppression list; nothing was stored.",
                errors=warnings,
            )
    return Judgement(fence.is_test or is_simulated_all, warnings)


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


def _check_allowed(recipients: Recipients, fence: Fence) -> None:
    """Nothing leaves by the simulator, so its addresses need no leave."""
    words = "Your application may write to some recipients only, and this is none of them."
    errors = tuple(
        FieldError(f"/{position}", "recipient_not_allowed", words)
        for position, address in recipients
        if not is_simulated(address)
        and not may_write_to(address, fence.allowed, channel=fence.channel)
    )
    if errors:
        raise DomainError(
            Code.RECIPIENT_NOT_ALLOWED,
            "Your application's list of allowed recipients leaves some out; `errors` names them.",
            errors=errors,
        )


@contextmanager
def pointers_as_given(body: object) -> Iterator[None]:
    """Refusals point to `/to` and not to `/to/0` where `body` has an address and no list."""
    try:
        yield
    except DomainError as error:
        raise DomainError(error.code, error.detail, errors=as_given(error.errors, body)) from error
