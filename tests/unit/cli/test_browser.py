"""The screen of `browse`: typing filters, keys act, and no text of others is markup."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from karma_sync.cli.session.browser import Actions, BrowsedRow, Browser, BrowserChoice

HOSTILE = "[red]not markup[/red] [@click=app.quit]x[/]"
ROWS = [
    BrowsedRow(0, "a1  mend the parser", "a1 mend the parser alice"),
    BrowsedRow(1, f"b2  {HOSTILE}", f"b2 {HOSTILE} bob"),
    BrowsedRow(2, "c3  write the docs", "c3 write the docs alice"),
]
Steps = Callable[[Browser, Pilot[BrowserChoice]], Awaitable[None]]


class Asked:
    """Answers like a library, and remembers what was asked."""

    def __init__(self) -> None:
        self.shown: list[BrowsedRow] = []

    def search(self, words: str) -> Sequence[BrowsedRow]:
        return [ROWS[2]] if words == "zebra" else []

    def show(self, row: BrowsedRow) -> str:
        self.shown.append(row)
        return ""

    @property
    def actions(self) -> Actions:
        return Actions(
            lambda row: f"preview of {row.line}",
            lambda row: f"who of {row.line}",
            self.search,
            self.show,
        )


def play(steps: Steps) -> tuple[Browser, Asked]:
    """Run the screen without a terminal while the steps are done."""
    asked = Asked()
    browser = Browser(ROWS, asked.actions)

    async def run() -> None:
        async with browser.run_test(size=(100, 30)) as pilot:
            await settle(browser, pilot)
            await steps(browser, pilot)

    asyncio.run(run())
    return browser, asked


async def settle(browser: Browser, pilot: Pilot[BrowserChoice]) -> None:
    await pilot.pause()
    await browser.workers.wait_for_complete()
    await pilot.pause()


def listed(browser: Browser) -> list[str]:
    picker = browser.query_one(OptionList)
    return [str(picker.get_option_at_index(n).prompt) for n in range(picker.option_count)]


def beside(browser: Browser) -> str:
    return str(browser.query_one(Static).content)


def test_typing_filters_and_the_preview_follows() -> None:
    async def steps(browser: Browser, pilot: Pilot[BrowserChoice]) -> None:
        assert listed(browser) == [row.line for row in ROWS]
        assert beside(browser) == f"preview of {ROWS[0].line}"
        await pilot.press(*"alice docs")
        await settle(browser, pilot)
        assert listed(browser) == [ROWS[2].line]
        assert beside(browser) == f"preview of {ROWS[2].line}"
        await pilot.press(*"zzz")
        await settle(browser, pilot)
        assert listed(browser) == []
        assert beside(browser) == "Nothing fits."

    play(steps)


def test_a_text_of_others_is_no_markup() -> None:
    async def steps(browser: Browser, pilot: Pilot[BrowserChoice]) -> None:
        await pilot.press(*"bob")
        await settle(browser, pilot)
        assert listed(browser) == [f"b2  {HOSTILE}"]
        assert beside(browser) == f"preview of b2  {HOSTILE}"

    play(steps)


def test_a_slash_searches_in_what_was_said() -> None:
    async def steps(browser: Browser, pilot: Pilot[BrowserChoice]) -> None:
        await pilot.press(*"/zebra")
        await settle(browser, pilot)
        assert listed(browser) == [ROWS[2].line]
        await pilot.press("down", "slash")
        await settle(browser, pilot)
        assert browser.query_one(Input).value == "/"
        assert listed(browser) == [row.line for row in ROWS]

    play(steps)


def test_in_the_list_keys_act_and_other_letters_filter() -> None:
    async def steps(browser: Browser, pilot: Pilot[BrowserChoice]) -> None:
        await pilot.press("down", "down", "w")
        await settle(browser, pilot)
        assert beside(browser) == f"who of {ROWS[1].line}"
        await pilot.press("down", "d", "o", "c")
        await settle(browser, pilot)
        assert browser.query_one(Input).value == "doc"
        assert listed(browser) == [ROWS[2].line]
        await pilot.press("down", "f")

    browser, _ = play(steps)
    assert browser.return_value == BrowserChoice("fork", ROWS[2])


def test_escape_leaves_without_a_choice() -> None:
    async def steps(browser: Browser, pilot: Pilot[BrowserChoice]) -> None:
        await pilot.press("escape")

    browser, _ = play(steps)
    assert browser.return_value is None
