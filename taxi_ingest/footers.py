"""The footer of a Parquet file as plain values.

It is one Thrift structure, described by parquet.thrift of the Parquet format. What is not known here is kept as it is.
"""

from __future__ import annotations

from typing import Any

from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

Struct = dict[int, tuple[int, Any]]
"""Field number → Thrift type and value, in the order of the file. A list is the type of its items, and the items."""

_SCALARS = {
    TType.BOOL: ("readBool", "writeBool"),
    TType.BYTE: ("readByte", "writeByte"),
    TType.I16: ("readI16", "writeI16"),
    TType.I32: ("readI32", "writeI32"),
    TType.I64: ("readI64", "writeI64"),
    TType.DOUBLE: ("readDouble", "writeDouble"),
    TType.STRING: ("readBinary", "writeBinary"),
}

# Fields by number.
_ROWS, _ROW_GROUPS, _METADATA = 3, 4, 5  # of FileMetaData
_COLUMNS, _GROUP_ROWS, _GROUP_POSITION, _GROUP_NUMBER = 1, 3, 5, 7  # of RowGroup
_COLUMN_METADATA, _COLUMN_POSITIONS = 3, (2, 4, 6)  # of ColumnChunk: itself, its offset index, its column index
_PAGE_POSITIONS = (9, 10, 11, 14)  # of ColumnMetaData: data, index and dictionary pages, Bloom filter


def parsed(footer: bytes) -> Struct:
    """The FileMetaData in `footer`."""
    struct: Struct = _read(TCompactProtocol(TMemoryBuffer(footer)), TType.STRUCT)
    return struct


def serialized(footer: Struct) -> bytes:
    """The bytes of a FileMetaData."""
    transport = TMemoryBuffer()
    _write(TCompactProtocol(transport), TType.STRUCT, footer)
    written: bytes = transport.getvalue()
    return written


def row_groups(footer: Struct) -> list[Struct]:
    """Its RowGroups."""
    groups: list[Struct] = footer[_ROW_GROUPS][1][1]
    return groups


def with_row_groups(footer: Struct, groups: list[Struct], metadata: dict[bytes, bytes]) -> Struct:
    """The footer of a file of the same schema that has these row groups and key-value metadata."""
    pairs = [{1: (TType.STRING, key), 2: (TType.STRING, value)} for key, value in metadata.items()]
    fields = footer | {
        _ROWS: (TType.I64, sum(group[_GROUP_ROWS][1] for group in groups)),
        _ROW_GROUPS: (TType.LIST, (TType.STRUCT, groups)),
        _METADATA: (TType.LIST, (TType.STRUCT, pairs)),
    }
    return dict(sorted(fields.items()))


def move(group: Struct, number: int, by: int) -> None:
    """Let a RowGroup be number `number`, from 0, in its file, and all its bytes `by` further back."""
    _shift(group, (_GROUP_POSITION,), by)
    if _GROUP_NUMBER in group:
        group[_GROUP_NUMBER] = (TType.I16, number)
    for chunk in group[_COLUMNS][1][1]:
        _shift(chunk, _COLUMN_POSITIONS, by)
        _shift(chunk[_COLUMN_METADATA][1], _PAGE_POSITIONS, by)


def _shift(struct: Struct, positions: tuple[int, ...], by: int) -> None:
    for field in positions:
        kind, position = struct.get(field, (TType.I64, 0))
        if position:  # 0 says that there is no such thing
            struct[field] = (kind, position + by)


def _read(protocol: Any, kind: int) -> Any:
    if kind == TType.STRUCT:
        fields: Struct = {}
        protocol.readStructBegin()
        while (field := protocol.readFieldBegin())[1] != TType.STOP:
            fields[field[2]] = (field[1], _read(protocol, field[1]))
            protocol.readFieldEnd()
        protocol.readStructEnd()
        return fields
    if kind == TType.LIST:
        items, size = protocol.readListBegin()
        values = [_read(protocol, items) for _ in range(size)]
        protocol.readListEnd()
        return items, values
    return getattr(protocol, _SCALARS[kind][0])()


def _write(protocol: Any, kind: int, value: Any) -> None:
    if kind == TType.STRUCT:
        protocol.writeStructBegin("")
        for number, (field_kind, field_value) in value.items():
            protocol.writeFieldBegin("", field_kind, number)
            _write(protocol, field_kind, field_value)
            protocol.writeFieldEnd()
        protocol.writeFieldStop()
        protocol.writeStructEnd()
    elif kind == TType.LIST:
        items, values = value
        protocol.writeListBegin(items, len(values))
        for item in values:
            _write(protocol, items, item)
        protocol.writeListEnd()
    else:
        getattr(protocol, _SCALARS[kind][1])(value)
