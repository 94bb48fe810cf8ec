"""Counts what is limited: in Redis for all processes, or in this one while Redis is away."""

from core.tallies.asking import ask, ask_each, forget
from core.tallies.kinds import Bucket, Count, Recent, Tally, Verdict

__all__ = ["Bucket", "Count", "Recent", "Tally", "Verdict", "ask", "ask_each", "forget"]
