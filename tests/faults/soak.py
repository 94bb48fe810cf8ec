"""A steady load with a random fault every so often, and one line at the end.

python -m tests.faults.soak --minutes 10 --seed 7
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.accounts import ILLNESSES
from tests.faults.clients import Clients
from tests.faults.evidence import verify
from tests.faults.fleet import Fleet
from tests.faults.verifier import SILENCE, Allowed, Verdict

RATE = 10
# How long a fault lasts that does not end by itself.
FAULT_SECONDS = 8.0
# Of the account, and over within seconds: nothing that an operator has to mend.
SICKNESSES = (
    *("421 at banner", "454 at auth", "421 at mail", "451 at mail", "421 at data"),
    *("454 at final_dot", "closes before DATA", "closes after the dot, taken"),
    *("closes after the dot, not taken", "resets after the dot, taken", "slow"),
)


class Soak:
    """The faults, and the dice that choose. The same seed breaks the same things in the same
    order."""

    def __init__(self, fleet: Fleet, *, seed: int) -> None:
        self.fleet = fleet
        self.dice = random.Random(seed)
        self.faults: dict[str, Callable[[], str]] = {
            "a child of a worker is killed": self.kill_child,
            "a worker is killed": self.kill_worker,
            "the line to the broker is cut": self.cut_broker,
            "PostgreSQL restarts at once": self.restart_postgres,
            "Redis is flushed": self.flush_redis,
            "an account is sick": self.sicken_account,
            "a worker is halted past its lease": self.halt_worker,
            "a web process is killed": self.kill_web,
            "a line is lost after the final dot": self.lose_line,
        }
        # Shuffled anew when it is used up, so that each comes as often as the others.
        self.deck: list[str] = []

    def strike(self) -> str:
        """One fault from beginning to end; what it was."""
        if not self.deck:
            self.deck = self.dice.sample(list(self.faults), len(self.faults))
        name = self.deck.pop()
        detail = self.faults[name]()
        return f"{name}{': ' * bool(detail)}{detail}"

    def _worker(self) -> str:
        return self.dice.choice(["worker", "worker-2"])

    def kill_child(self) -> str:
        name = self._worker()
        self.fleet.kill_children(name, count=1)
        return name

    def kill_worker(self) -> str:
        name = self._worker()
        self.fleet.kill(name)
        time.sleep(2)
        self.fleet.start_worker(name)
        return name

    def cut_broker(self) -> str:
        self.fleet.broker_line.cut()
        time.sleep(FAULT_SECONDS)
        self.fleet.broker_line.mend()
        return ""

    def restart_postgres(self) -> str:
        self.fleet.postgres.restart_immediate()
        return ""

    def flush_redis(self) -> str:
        self.fleet.redis.flush()
        return ""

    def sicken_account(self) -> str:
        account, illness = self.dice.choice(self.fleet.accounts), self.dice.choice(SICKNESSES)
        account.fall_ill(ILLNESSES[illness], probability=self.dice.choice([0.5, 1.0]))
        time.sleep(FAULT_SECONDS)
        account.get_well()
        return f"{account.name}, {illness}"

    def halt_worker(self) -> str:
        name = self._worker()
        self.fleet.pause(name)
        time.sleep(FAULT_SECONDS)
        self.fleet.resume(name)
        return name

    def kill_web(self) -> str:
        self.fleet.kill_children("web", count=1)
        return ""

    def lose_line(self) -> str:
        self.fleet.mail_line.drop_when_seen(b"\r\n.\r\n")
        time.sleep(FAULT_SECONDS / 2)
        self.fleet.mail_line.mend()
        return ""


def soak(fleet: Fleet, *, seconds: float, every: float, seed: int) -> Verdict:
    """Send for `seconds`, break something `every` so many, and verify. Prints what it does."""
    breaker = Soak(fleet, seed=seed)
    print(f"soak: seed {seed}, {seconds:.0f} s, {RATE} messages a second", flush=True)
    fleet.start_worker("worker-2")
    # With four hand-overs at a time this is a quarter of what they can do.
    fleet.slow_down(0.1)
    with Clients(fleet) as clients:
        started = time.monotonic()
        clients.start(rate=RATE)
        next_at = started + every
        while next_at < started + seconds:
            time.sleep(max(0.0, next_at - time.monotonic()))
            next_at += every
            at = time.monotonic() - started
            print(f"{at:6.0f} s  {breaker.strike()}", flush=True)
        time.sleep(max(0.0, started + seconds - time.monotonic()))
        clients.stop()
        verdict = verify(fleet, clients, allowed=Allowed(failed=SILENCE), within=150)
    assert verdict.lost == 0
    assert verdict.duplicates == verdict.explained
    # Faults may cost the API an answer now and then, not its work.
    assert verdict.accepted > 0.7 * seconds * RATE
    assert verdict.delivered >= 0.98 * verdict.accepted
    return verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--every", type=float, default=45, help="seconds between two faults")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    asked = parser.parse_args()
    # Ended from outside, it ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    with (
        tempfile.TemporaryDirectory(prefix="faults-soak-") as folder,
        Fleet(folder=Path(folder), seed=asked.seed) as fleet,
    ):
        soak(fleet, seconds=asked.minutes * 60, every=asked.every, seed=asked.seed)


if __name__ == "__main__":
    main()
