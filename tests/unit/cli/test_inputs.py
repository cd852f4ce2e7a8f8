"""Opening and reading logs, whole and broken."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from pathlib import Path

import pytest

from aggregator.cli.failure import USAGE, Failure
from aggregator.cli.inputs import CHUNK_BYTES, Source, opened

TEXT = b"".join(b"line %d of a log that compresses\n" % number for number in range(20_000))


def read(data: bytes) -> tuple[bytes, str | None]:
    source = Source("a.log", io.BufferedReader(io.BytesIO(data)))
    return b"".join(source.chunks()), source.fault


def _open(names: list[str]) -> None:
    with opened(names):
        pass


class TestOpening:
    def test_a_missing_file_is_a_usage_error(self, tmp_path: Path) -> None:
        (tmp_path / "good.log").write_bytes(b"x\n")
        with pytest.raises(Failure, match=r"no\.log: no such file") as caught:
            _open([str(tmp_path / "good.log"), str(tmp_path / "no.log")])
        assert caught.value.code == USAGE

    @pytest.mark.parametrize(("name", "words"), [("", "is a directory"), ("a\0b", "no file name")])
    def test_what_cannot_be_opened_is_named(self, tmp_path: Path, name: str, words: str) -> None:
        with pytest.raises(Failure, match=words):
            _open([f"{tmp_path}/{name}"])

    def test_standard_input_can_be_named_once(self) -> None:
        with pytest.raises(Failure, match="only once"):
            _open(["-", "-"])

    def test_closed_standard_input_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(Failure, match="standard input is closed"):
            _open(["-"])

    def test_the_size_of_a_file_is_known(self, tmp_path: Path) -> None:
        path = tmp_path / "a.log"
        path.write_bytes(b"12345")
        with opened([str(path)]) as (source,):
            assert source.size == 5
            assert b"".join(source.chunks()) == b"12345"


class TestReading:
    @pytest.mark.parametrize("data", [b"", b"\x1f", b"\x1fx", TEXT], ids=["empty", "one byte", "no gzip", "text"])
    def test_plain_bytes_come_as_they_are(self, data: bytes) -> None:
        assert read(data) == (data, None)

    def test_gzip_is_known_by_its_first_bytes(self) -> None:
        assert read(gzip.compress(TEXT)) == (TEXT, None)

    def test_gzip_members_follow_each_other(self) -> None:
        """As ``cat a.gz b.gz`` makes them, with or without padding."""
        both = gzip.compress(b"a\n") + gzip.compress(TEXT)
        assert read(both + b"\0" * 100_000) == (b"a\n" + TEXT, None)

    def test_a_pipe_may_give_one_byte_at_a_time(self) -> None:
        out, into = os.pipe()
        packed = gzip.compress(b"slow\n")
        with os.fdopen(out, "rb") as stream, os.fdopen(into, "wb", buffering=0) as pipe:
            rest = iter([packed[1:]])

            def send_rest(count: int) -> None:
                for data in rest:
                    pipe.write(data)

            pipe.write(packed[:1])
            chunks = Source("-", stream).chunks(send_rest)
            assert next(chunks) == b"slow\n"

    @pytest.mark.parametrize("kept", [2, 5, 11, 1_000, 40_000, -9, -8, -1])
    def test_a_cut_gzip_gives_what_came_before(self, kept: int) -> None:
        packed = gzip.compress(TEXT, compresslevel=1)[:kept]
        text, fault = read(packed)
        assert text == zlib.decompressobj(31).decompress(packed)
        assert TEXT.startswith(text)
        assert fault is not None
        assert "cut short" in fault

    def test_a_bad_checksum_loses_no_text(self) -> None:
        packed = bytearray(gzip.compress(TEXT))
        packed[-6] ^= 0xFF
        text, fault = read(bytes(packed))
        assert text == TEXT
        assert fault is not None
        assert "damaged" in fault

    def test_rubbish_after_the_end_is_said(self) -> None:
        text, fault = read(gzip.compress(TEXT) + b"rubbish")
        assert text == TEXT
        assert fault is not None

    def test_a_gzip_bomb_comes_in_small_pieces(self) -> None:
        source = Source("bomb", io.BufferedReader(io.BytesIO(gzip.compress(bytes(50_000_000)))))
        sizes = [len(chunk) for chunk in source.chunks()]
        assert sum(sizes) == 50_000_000
        assert max(sizes) <= CHUNK_BYTES

    def test_an_error_while_reading_ends_the_input(self) -> None:
        """A directory entry that turns unreadable: what came before stands."""

        class Broken(io.RawIOBase):
            left = 2

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a memoryview is all it is given
                self.left -= 1
                if self.left < 0:
                    raise OSError(5, "Input/output error")
                buffer[:2] = b"x\n"
                return 2

        source = Source("disk.log", io.BufferedReader(Broken()))
        assert b"".join(source.chunks()) == b"x\nx\n"
        assert source.fault == "disk.log: input/output error; what came before was counted"

    def test_progress_counts_the_bytes_of_the_input(self) -> None:
        packed, seen = gzip.compress(TEXT), list[int]()
        list(Source("a", io.BufferedReader(io.BytesIO(packed))).chunks(seen.append))
        assert sum(seen) == len(packed)
