"""What stands in for doit's database: nothing is remembered there, because receipts are the state.

doit writes its own at the end of a run only, so it would forget a run that was killed.
"""

from __future__ import annotations

from doit.dependency import FileChangedChecker


class NothingChanges(FileChangedChecker):  # type: ignore[misc]
    """doit's look at file dependencies: always content, because `_UpToDate` has judged them already."""

    def info(self, file_path: str) -> str:
        """Stand for the file, also for one that is missing."""
        return file_path

    def check_modified(self, _path: str, _info: str, _state: object) -> bool:
        """Say that nothing changed."""
        return False

    def get_state(self, _path: str, _current: object) -> None:
        """Give nothing to remember."""


class ReceiptsAreTheState:
    """doit's database: it remembers nothing, since receipts are the state. Deleting it can lose nothing."""

    desc = "receipts are the state"

    def __init__(self, name: str, codec: object, *, module_name: object = None) -> None:
        self.name = name

    def get(self, _task: str, key: str) -> str | None:
        """Any state for a file; nothing for doit's own entries, whose keys end in a colon."""
        return None if key.endswith(":") else "receipt"

    def set(self, _task: str, _key: str, _value: object) -> None:
        """Forget it."""

    def in_(self, _task: str) -> bool:
        """No task is remembered."""
        return False

    def remove(self, _task: str) -> None:
        """Nothing to remove."""

    def remove_all(self) -> None:
        """Nothing to remove."""

    def dump(self) -> None:
        """Nothing to write."""
