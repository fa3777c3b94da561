"""Hosts and their addresses: which are this machine, and which are public."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

from taxi_ingest.errors import SourceError

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")  # for translation within one network (RFC 8215)
# IPv6 networks whose addresses stand for an IPv4 address, and the number of bits to its right
_STANDS_FOR_IPV4 = (
    (ipaddress.ip_network("::ffff:0:0/96"), 0),  # mapped
    (ipaddress.ip_network("::/96"), 0),  # compatible
    (ipaddress.ip_network("64:ff9b::/96"), 0),  # NAT64
    (ipaddress.ip_network("2002::/16"), 80),  # 6to4
)


class Address(NamedTuple):
    """Where a host may be reached: the family of the socket, and what its `connect` takes."""

    family: socket.AddressFamily
    at: tuple[object, ...]

    @property
    def is_public(self) -> bool:
        """Whether it is an address of the internet."""
        return is_public(str(self.at[0]))


def is_host(host: str) -> bool:
    """Whether `host`, without brackets, is written as a host name or an IPv6 address is."""
    if ":" not in host:
        return bool(_NAME.fullmatch(host))
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def is_this_machine(host: str) -> bool:
    """Whether `host` names this machine: localhost, 127.0.0.0/8 or ::1."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return any(ipaddress.ip_address(str(literal.at[0])).is_loopback for literal in _literals(name))


def may_be_public(host: str) -> bool:
    """Whether `host` can be outside of private networks, judged by its spelling alone: nothing is looked up."""
    return not is_this_machine(host) and all(literal.is_public for literal in _literals(host.rstrip(".")))


def addresses(host: str, port: int) -> list[Address]:
    """All addresses of `host`. Raises SourceError for what is no host name, and what socket.getaddrinfo raises."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise SourceError(f"'{host[:40]}' is not a host name. Check the --source template.") from None
    return [Address(family, at) for family, _, _, _, at in found]


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address leads into the internet, also through a network that translates it."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _LOCAL_NAT64 or ip.is_site_local or ip.is_loopback or ip.is_unspecified:
            return False
        for network, shift in _STANDS_FOR_IPV4:
            if ip in network:
                return is_public(str(ipaddress.IPv4Address(int(ip) >> shift & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


def _literals(host: str) -> list[Address]:
    """The address that `host` is, in any spelling that the system takes, such as 127.1; empty for a name."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
    return [Address(family, at) for family, _, _, _, at in found]
