from celery import shared_task

from core.clock import database_clock
from reporting import upkeep


@shared_task(name="reporting.bring_up_to_date", ignore_result=True)
def bring_up_to_date(**_: object) -> None:
    """Count what has changed. May run twice, late, or never: the next one finds the same."""
    upkeep.bring_up_to_date(clock=database_clock())
