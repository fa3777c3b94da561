"""Which role grants a permission of Google Cloud, and on what it is granted.

From https://docs.cloud.google.com/iam/docs/roles-permissions, the narrowest role that has the permission.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Target = Literal["bucket", "dataset", "project", "account"]
"""On what a role is granted."""


@dataclass(frozen=True)
class Role:
    """A role, and on what it is granted."""

    name: str
    on: Target


_OBJECT_USER = Role("roles/storage.objectUser", "bucket")
_BUCKET_VIEWER = Role("roles/storage.bucketViewer", "bucket")
_DATA_EDITOR = Role("roles/bigquery.dataEditor", "dataset")

_ROLES: Mapping[str, Role] = {
    "storage.buckets.get": _BUCKET_VIEWER,
    "storage.objects.": _OBJECT_USER,
    "storage.multipartUploads.": _OBJECT_USER,
    "bigquery.jobs.create": Role("roles/bigquery.jobUser", "project"),
    "bigquery.datasets.create": Role("roles/bigquery.user", "project"),
    "bigquery.datasets.get": _DATA_EDITOR,
    "bigquery.tables.": _DATA_EDITOR,
    "bigquery.jobs.get": Role("roles/bigquery.resourceViewer", "project"),
    "iam.serviceAccounts.getAccessToken": Role("roles/iam.serviceAccountTokenCreator", "account"),
    "serviceusage.services.use": Role("roles/serviceusage.serviceUsageConsumer", "project"),
}
"""Permission, or how it begins → role."""

_PERMISSION = re.compile(r"\b(?:storage|bigquery|serviceusage|iam)\.[a-zA-Z]+\.[a-zA-Z]+")


def permissions_in(message: str) -> list[str]:
    """The permissions that a message of Google speaks of."""
    return list(dict.fromkeys(_PERMISSION.findall(message)))


def grants(permissions: Iterable[str], names: Mapping[Target, str]) -> str:
    """A sentence on the roles that grant `permissions`, each on the target it is granted on; "" if none is known."""
    roles = [role for permission in permissions for begin, role in _ROLES.items() if permission.startswith(begin)]
    wanted = [f"{role.name} on {names[role.on]}" for role in dict.fromkeys(roles) if role.on in names]
    return f"Grant {' and '.join(wanted)}." if wanted else ""
