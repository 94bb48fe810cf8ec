import mmap


class SharedFlag:
    """A flag that processes which are forked later see as well, in both directions.

    One byte of anonymous shared memory: setting and reading it needs no lock and never waits.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._memory[0] = 1

    def clear(self) -> None:
        self._memory[0] = 0

    def is_set(self) -> bool:
        return self._memory[0] != 0
