"""Mutations of bytes, of text, and of integers in binary structures."""

import struct
from collections.abc import Callable
from random import Random

# Numbers at the limits of integers, and sizes that a file cannot have.
LIMITS = (0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 32768, 40000, 65535, 65536, 10**6, 2**31 - 1, 2**31, 2**32 - 1)

_NUMBER_TEXT = "nan inf -inf -0 0 -1 1e308 1e-320 1e999 0x10 1_0 1,5 0.1.2 1e -9999 2147483648 9223372036854775808 −5 ٣"
_NUMBERS = (*_NUMBER_TEXT.split(), "", "9" * 30, "9" * 5000)

# "\ud800" is a lone surrogate, written as three bytes that are not UTF-8.
_MARKS = "\ufeff \u202e \ud800 \x00 é𝔘 %s%n {} [] { [ * ** ~ . .. - \" ' \\ < &x; # ; , = null true CON x.zip a.json#b"
_PLACES = "../x /vsimem/x.tif EPSG:4326 EPSG:0 EPSG:99999999999"
_WORDS = (*_MARKS.split(" "), *_PLACES.split(), "", "\n", "\r", "\t", "a" * 300)


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """Bytes with one to four changes: bits, blocks, lengths, integers."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if content:
            rng.choice(_BYTE_CHANGES)(rng, content)
    return bytes(content)


def mutate_text(rng: Random, data: bytes) -> bytes:
    """Text with one to four changes of its numbers, words, lines and characters; sometimes its encoding."""
    text = data.decode("utf-8", errors="surrogateescape")
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = rng.choice(_TEXT_CHANGES)(rng, text)
    if rng.random() < 0.03:
        return text.encode(rng.choice(("utf-16", "utf-8-sig", "utf-32-be")), errors="replace")
    mutated = text.encode("utf-8", errors="surrogatepass")
    return mutate_bytes(rng, mutated) if rng.random() < 0.05 else mutated


def nasty_number(rng: Random) -> str:
    """Text in place of a number."""
    return rng.choice(_NUMBERS)


def nasty_word(rng: Random) -> str:
    """Text in place of a word."""
    return rng.choice(_WORDS)


def put_integer(rng: Random, content: bytearray, place: int, width: int, order: str) -> None:
    """Write a number at the limits over an integer.

    Args:
        rng: Random numbers.
        content: Bytes to change.
        place: Offset of the integer.
        width: Its bytes: 1, 2, 4 or 8.
        order: ``<`` or ``>``.
    """
    code = {1: "B", 2: "H", 4: "I", 8: "Q"}[width]
    (old,) = struct.unpack_from(order + code, content, place)
    new = rng.choice((*LIMITS, len(content), old + 1, old - 1, old * 2, old ^ (1 << rng.randrange(8 * width))))
    struct.pack_into(order + code, content, place, new % (1 << (8 * width)))


def _flip_bits(rng: Random, content: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 4, 32))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _truncate(rng: Random, content: bytearray) -> None:
    del content[rng.randrange(len(content)) :]


def _block(rng: Random, content: bytearray) -> slice:
    begin = rng.randrange(len(content))
    return slice(begin, begin + rng.choice((1, 2, 4, 16, 64, 512, 4096)))


def _swap_blocks(rng: Random, content: bytearray) -> None:
    first, second = _block(rng, content), _block(rng, content)
    content[first], content[second] = content[second], content[first]


def _insert(rng: Random, content: bytearray) -> None:
    place = rng.randrange(len(content) + 1)
    content[place:place] = rng.randbytes(rng.choice((1, 2, 3, 4, 16, 256)))


def _remove(rng: Random, content: bytearray) -> None:
    del content[_block(rng, content)]


def _repeat(rng: Random, content: bytearray) -> None:
    block = _block(rng, content)
    content[block.start : block.start] = content[block] * rng.choice((1, 1, 8))


def _fill(rng: Random, content: bytearray) -> None:
    block = _block(rng, content)
    content[block] = bytes([rng.choice((0, 255))]) * len(content[block])


def _integer(rng: Random, content: bytearray) -> None:
    width = rng.choice((1, 2, 4, 8))
    if len(content) >= width:
        put_integer(rng, content, rng.randrange(len(content) - width + 1), width, rng.choice("<>"))


_BYTE_CHANGES: tuple[Callable[[Random, bytearray], None], ...] = (
    *(_flip_bits, _flip_bits, _truncate, _swap_blocks, _insert),
    *(_remove, _repeat, _fill, _integer, _integer),
)


def _span(rng: Random, text: str, wanted: Callable[[str], bool]) -> tuple[int, int]:
    """The run of wanted characters nearest behind a random place; an empty one where there is none."""
    begin = rng.randrange(len(text) + 1)
    while begin < len(text) and not wanted(text[begin]):
        begin += 1
    end = begin
    while end < len(text) and wanted(text[end]):
        end += 1
    while begin > 0 and begin < len(text) and wanted(text[begin - 1]):
        begin -= 1
    return begin, end


def _change_number(rng: Random, text: str) -> str:
    begin, end = _span(rng, text, lambda character: character.isdigit() or character in ".-+")
    return text[:begin] + nasty_number(rng) + text[end:]


def _change_word(rng: Random, text: str) -> str:
    begin, end = _span(rng, text, str.isalnum)
    return text[:begin] + nasty_word(rng) + text[end:]


def _change_line(rng: Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(4)
    if change == 0:
        del lines[one]
    elif change == 1:
        lines.insert(one, lines[other])
    elif change == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one] *= rng.choice((2, 200))
    return "".join(lines)


def _insert_text(rng: Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + nasty_word(rng) + text[place:]


def _remove_text(rng: Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + text[place + rng.choice((1, 1, 5, 40)) :]


def _cut_text(rng: Random, text: str) -> str:
    return text[: rng.randrange(len(text) + 1)]


_TEXT_CHANGES: tuple[Callable[[Random, str], str], ...] = (
    *(_change_number, _change_number, _change_word, _change_word),
    *(_change_line, _insert_text, _remove_text, _cut_text),
)
