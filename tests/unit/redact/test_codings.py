"""Secrets behind colour codes, percent signs, base64 and UTF-16 are cut; what is around stays."""

import base64
import gzip
import json
from urllib.parse import quote

import pytest

from karma_sync.redact.examples import fill
from karma_sync.redact.redactor import default_redactor

REDACTOR = default_redactor()
GITHUB = fill("ghp_{alnum:36}")


def content(text: str) -> str:
    """The text as it leaves in a record of a transcript."""
    line = json.dumps({"message": {"content": text}}).encode()
    result: str = json.loads(REDACTOR.lines(line).data)["message"]["content"]
    return result


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"\x1b[35m.env\x1b[m:tok=\x1b[01;31m\x1b[Kghp_\x1b[m\x1b[K{GITHUB[4:]}", ".env"),
        (
            "\x1b[38;5;81mDB_PASSWORD\x1b[0m\x1b[38;5;203m=\x1b[0m\x1b[38;5;186mVtPa!x9QUb\x1b[0m",
            "[0m",
        ),
    ],
)
def test_a_secret_is_cut_from_what_a_terminal_colours(text: str, kept: str) -> None:
    result = content(text)

    assert GITHUB[6:] not in result and "VtPa!x9QUb" not in result
    assert kept in result
    assert REDACTOR.text(text.encode()).cuts


def test_a_url_within_a_query_is_read() -> None:
    inner = quote("mongodb+srv://admin:GteGlqANN4daW8K0@c0.example.net/?w=1", safe="")

    result = content(f"GET https://api.example/v1?uri={inner}&page=2 200")

    assert "GteGlqANN4daW8K0" not in result
    assert result.endswith("&page=2 200") and result.startswith("GET https://api.example/v1?uri=")


@pytest.mark.parametrize(
    "plain", [GITHUB, "PORT=1\nDB_PASSWORD=hunter2!x9\nDEBUG=0\n", f"user:{GITHUB}"]
)
def test_base64_of_a_secret_is_cut_as_a_whole(plain: str) -> None:
    encoded = base64.b64encode(plain.encode()).decode()

    assert content(f"echo {encoded} | base64 -d") in {
        f"echo [REDACTED:{rule}] | base64 -d" for rule in ("github", "assignment", "encoded")
    }


def test_of_two_runs_of_base64_beside_each_other_each_is_read() -> None:
    harmless = base64.b64encode(b"it tells you nothing.").decode()
    encoded = base64.b64encode(GITHUB.encode()).decode()

    assert content(f"printf %s {harmless} {encoded} | base64 -d") in {
        f"printf %s {harmless} [REDACTED:{rule}] | base64 -d" for rule in ("github", "assignment")
    }


def test_base64_of_something_else_stays() -> None:
    encoded = base64.b64encode(b"a sentence of some length that tells nothing to anybody").decode()

    assert content(f"echo {encoded}") == f"echo {encoded}"


def test_utf_16_is_read() -> None:
    text = f"TOKEN={GITHUB}\r\n".encode("utf-16-le").decode("latin-1")

    assert GITHUB not in content(text).replace("\x00", "")


@pytest.mark.parametrize("pack", [gzip.compress, lambda raw: b"PK\x03\x04" + raw * 9])
def test_a_packed_file_in_a_tools_result_is_left_out(pack: object) -> None:
    packed = pack(GITHUB.encode() * 20)  # type: ignore[operator]  # one of the two above

    as_base64 = content(base64.b64encode(packed).decode())
    as_text = content("x " + packed.decode("utf-8", "replace"))

    assert as_base64 == "[REDACTED:binary]"
    assert as_text == "x [REDACTED:binary]"
    assert REDACTOR.text(packed).data == b"[REDACTED:binary]"


@pytest.mark.parametrize("width", [40, 41, 52, 80])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_token_that_a_terminal_wraps_is_cut_as_a_whole(width: int, end: str) -> None:
    before = "use this one from now on: ".rjust(width - len(GITHUB) // 2)[: width - 8]
    whole = f"{before}{GITHUB} and nothing else"
    shown = end.join(whole[at : at + width] for at in range(0, len(whole), width))

    result = content(f"$ cat note\n{shown}\n")

    assert GITHUB not in result.replace(end, "")
    assert not any(GITHUB[at : at + 8] in result for at in range(4, len(GITHUB) - 8))
    assert before.strip() in result and "nothing else" in result.replace(end, "")


def test_a_long_token_is_cut_from_all_the_lines_over_which_it_is_wrapped() -> None:
    token = fill("sk-ant-api03-{alnum:95}")
    whole = f"ANTHROPIC is {token}"
    shown = "\n".join(whole[at : at + 40] for at in range(0, len(whole), 40))

    assert content(f"{shown}\nit works") == "ANTHROPIC is [REDACTED:anthropic]\nit works"


def test_lines_that_end_and_begin_with_words_stay() -> None:
    lines = "src/components/authentication/github_pat.py\n" * 3

    assert content(lines) == lines


def test_two_tokens_in_lines_of_their_own_are_two() -> None:
    lines = f"{GITHUB}\n{GITHUB}\n{fill('sk-ant-api03-{alnum:95}')}"

    assert content(lines) == "[REDACTED:github]\n[REDACTED:github]\n[REDACTED:anthropic]"


def test_the_name_in_the_next_line_stays() -> None:
    lines = f"ANTHROPIC_API_KEY={fill('sk-ant-api03-{alnum:95}')}\nTELEGRAM_TOKEN=x"

    assert content(lines) == "ANTHROPIC_API_KEY=[REDACTED:anthropic]\nTELEGRAM_TOKEN=x"
