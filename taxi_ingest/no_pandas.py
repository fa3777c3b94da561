"""pandas is not used; where it is installed, pyarrow and Google's client would import it at first use.

That takes a quarter of a second, as long as the conversion of 300,000 rows.
"""

from __future__ import annotations

import sys


def hide_pandas() -> None:
    """From here on this process finds no pandas. Only for a process that is ours alone."""
    sys.meta_path.insert(0, _NoPandas())


class _NoPandas:
    @staticmethod
    def find_spec(fullname: str, _path: object, _target: object = None) -> None:
        """Find no pandas, and leave every other module to the other finders."""
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname, name=fullname)
