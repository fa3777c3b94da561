"""Line ends are counted independently of the parser, whatever the bytes are."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from taxi_ingest.readers.blocks import count_line_ends

NEAR_LF = st.lists(st.sampled_from(b"\n\x0b\x09\x00\x7f\x8a\x80\xff,1"), max_size=40).map(bytes)


@given(block=st.binary(max_size=200) | NEAR_LF)
@example(block=b"")
@example(block=bytes(range(128)) * 3)
def test_every_line_end_is_counted_once(block: bytes) -> None:
    assert count_line_ends(bytearray(block)) == list(block).count(0x0A)
