"""What others import where it is installed, and nothing here needs.

pyarrow imports numpy with itself and pandas at first use, Google's client pandas. Together they take as long as the
conversion of 400,000 rows.
"""

from __future__ import annotations

import sys

_UNNEEDED = {"numpy", "pandas"}


def hide_unneeded() -> None:
    """From here on this process finds neither numpy nor pandas. Only for a process that is ours alone."""
    sys.meta_path.insert(0, _Hidden())


class _Hidden:
    @staticmethod
    def find_spec(fullname: str, _path: object, _target: object = None) -> None:
        """Find none of them, and leave every other module to the other finders."""
        if fullname in _UNNEEDED:
            raise ModuleNotFoundError(f"No module named '{fullname}': hidden, because it is not needed", name=fullname)
