"""What others import where it is installed, and nothing here needs.

pyarrow imports numpy with itself, file systems of clouds with Parquet and pandas at first use, Google's client pandas.
Together they take as long as the conversion of 400,000 rows.
"""

from __future__ import annotations

import sys

_UNNEEDED = {
    "numpy",
    "pandas",
    "pyarrow._azurefs",
    "pyarrow._gcsfs",
    "pyarrow._hdfs",
    "pyarrow._s3fs",
}


def hide_unneeded() -> None:
    """From here on this process finds none of them. Only for a process that is ours alone."""
    sys.meta_path.insert(0, _Hidden())


class _Hidden:
    @staticmethod
    def find_spec(fullname: str, _path: object, _target: object = None) -> None:
        """Find none of them, and leave every other module to the other finders."""
        if fullname in _UNNEEDED:
            raise ModuleNotFoundError(f"No module named '{fullname}': hidden, because it is not needed", name=fullname)
