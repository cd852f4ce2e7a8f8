"""Reading request targets out of log lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.cli.access_log import LINE_BYTES_MAX, TARGET_BYTES_MAX, batches, target

BEFORE = b"83.149.9.216 - - [17/May/2015:10:05:03 +0000] "
AFTER = b' 200 203023 "-" "curl/8.0"'


def line(request: bytes, before: bytes = BEFORE, after: bytes = AFTER) -> bytes:
    return before + b'"' + request + b'"' + after


class TestTarget:
    @pytest.mark.parametrize(
        ("request_line", "expected"),
        [
            (b"GET /a HTTP/1.1", "/a"),
            (b"GET  /a   HTTP/1.1", "/a"),
            (b"POST /a?b=c&d=%20 HTTP/2.0", "/a?b=c&d=%20"),
            (b"OPTIONS * HTTP/1.0", "*"),
            (b"CONNECT example.org:443 HTTP/1.1", "example.org:443"),
            (rb"GET /a\"b HTTP/1.1", r"/a\"b"),
            (rb"GET /a\\ HTTP/1.1", r"/a\\"),
            (rb"GET /\x22 HTTP/1.1", r"/\x22"),
            (b'GET /a"b HTTP/1.1', '/a"b'),
            (b'GET /a"b"c HTTP/1.1', '/a"b"c'),
            ("GET /grün HTTP/1.1".encode(), "/gr%C3%BCn"),
            (b"GET /\xff\x80 HTTP/1.1", "/%FF%80"),
            (b"GET /\x7f HTTP/1.1", "/\x7f"),
        ],
    )
    def test_is_the_second_of_three_words(self, request_line: bytes, expected: str) -> None:
        """Escapes stay as the log has them; bytes above 0x7F are percent-encoded."""
        assert expected == target(line(request_line))

    @pytest.mark.parametrize(
        "request_line",
        [b"", b"-", b"GET", b"GET /a", b"GET  HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /a HTTP/1.1 x", b"   "],
    )
    def test_without_three_words_the_line_is_bad(self, request_line: bytes) -> None:
        """Too few words, too many, or an empty target."""
        assert target(line(request_line)) is None

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"\r",
            b"no log line at all",
            b"\x00\xff" * 100,
            BEFORE,
            BEFORE + b'"GET /a HTTP/1.1',
            b'one "GET /a HTTP/1.1" 200 5',
            BEFORE + b'"-" 408 "-"',
        ],
    )
    def test_what_is_no_log_line_is_bad(self, text: bytes) -> None:
        """Binary, cut off, or of another format."""
        assert target(text) is None

    @pytest.mark.parametrize(
        "before",
        [
            b"::1 - - [17/May/2015:10:05:03 +0000] ",
            b"[::1] - - [17/May/2015:10:05:03 +0000] ",
            b"host - john doe [17/May/2015:10:05:03 +0000] ",
            rb'host - "\"x] \"GET /no HTTP/1.1\"" [17/May/2015:10:05:03 +0000] ',
            b"www.example.org:80 host ident user [17/May/2015:10:05:03 +0000] ",
        ],
    )
    def test_the_request_follows_the_time(self, before: bytes) -> None:
        """Whatever host, identity and user hold."""
        assert target(line(b"GET /a HTTP/1.1", before=before)) == "/a"

    def test_the_common_format_and_the_end_of_a_dos_line_are_fine(self) -> None:
        assert target(line(b"GET /a HTTP/1.1", after=b" 304 -\r")) == "/a"

    def test_a_request_like_text_in_the_agent_does_not_count(self) -> None:
        assert target(line(b"-", after=b' 400 0 "-" "x] "GET /no HTTP/1.1" y"')) is None

    def test_a_target_may_be_as_long_as_a_key(self) -> None:
        longest = b"/" * TARGET_BYTES_MAX
        assert target(line(b"GET %b HTTP/1.1" % longest)) == longest.decode()
        assert target(line(b"GET %b/ HTTP/1.1" % longest)) is None

    def test_the_limit_holds_after_encoding(self) -> None:
        third = TARGET_BYTES_MAX // 3
        assert target(line(b"GET %b HTTP/1.1" % (b"\xff" * third))) == "%FF" * third
        assert target(line(b"GET %b HTTP/1.1" % (b"\xff" * (third + 1)))) is None

    @given(st.binary())
    def test_never_raises(self, text: bytes) -> None:
        """Nor gives anything but short ASCII."""
        for candidate in (text, line(text)):
            found = target(candidate)
            assert found is None or (found.isascii() and 0 < len(found) <= TARGET_BYTES_MAX)


class TestBatches:
    @given(st.lists(st.binary(max_size=12)))
    def test_lines_are_those_of_the_whole(self, chunks: list[bytes]) -> None:
        """However the stream was cut; a line without its newline at the end is a line."""
        expected = b"".join(chunks).split(b"\n")
        if expected[-1] == b"":
            expected.pop()
        assert expected == [found for batch in batches(chunks) for found in batch]

    def test_an_endless_line_is_cut_off(self) -> None:
        """Only its head is kept, and the lines beside it are whole."""
        chunks = [b"first\n" + b"x" * 100_000, *[b"y" * 100_000] * 100, b"z\nlast\n"]
        lines = [found for batch in batches(chunks) for found in batch]
        assert [b"first", b"x" * 100_000 + b"y" * (LINE_BYTES_MAX - 100_000), b"last"] == lines

    def test_a_request_before_an_endless_referrer_counts(self) -> None:
        chunks = [line(b"GET /a HTTP/1.1", after=b' 200 5 "'), *[b"r" * 65_536] * 160, b'" "-"\n']
        assert [target(found) for batch in batches(chunks) for found in batch] == ["/a"]
