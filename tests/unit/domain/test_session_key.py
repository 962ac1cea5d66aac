"""The address of a session: what is printed is read again, and what a person types finds it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.session.key import SessionKey
from karma_sync.errors import BadInput
from tests.support.builders import examples

WHOLE = SessionKey("alice.mbp", "claude-code/reviewer", "example.org:8443/acme/web", "3a78-1")
text = st.text(st.characters(exclude_categories=["Cs"]))


@examples()
@given(text, text, text, text.filter(bool))
def test_a_key_survives_its_text(user: str, agent: str, project: str, session: str) -> None:
    key = SessionKey(user, agent, project, session)

    assert SessionKey.parse(str(key)) == key
    assert str(key).isprintable()


def test_a_port_keeps_its_place() -> None:
    assert str(WHOLE) == "alice.mbp:claude-code/reviewer:example.org%3A8443/acme/web:3a78-1"


@pytest.mark.parametrize(
    "typed",
    [
        "3a78-1",
        "3a",
        "alice.mbp:3a",
        "alice:3a78-1",
        "alice.mbp:claude-code/reviewer:3a",
        "alice:example.org%3A8443/acme/web:3a",
        "alice.mbp::example.org%3A8443/acme/web:3a78-1",
        ":claude-code/reviewer::3a",
        ":::3a",
        str(WHOLE),
    ],
)
def test_a_key_may_leave_parts_out(typed: str) -> None:
    assert SessionKey.parse(typed).fits(WHOLE)


@pytest.mark.parametrize(
    "typed",
    [
        "4b",
        "bob.mbp:3a",
        "ali:3a",
        "alice.mbp:claude-code:3a",
        "alice.mbp:claude-code:example.org%3A8443/acme/web:3a78-1",
        "alice:example.org/acme/web:3a",
        "alice.mbp:claude-code/reviewer:example.org%3A8443/acme/we:3a",
    ],
)
def test_a_key_of_another_user_agent_or_project_does_not_fit(typed: str) -> None:
    assert not SessionKey.parse(typed).fits(WHOLE)


@pytest.mark.parametrize("typed", ["", ":", "a:b:c:", "a:b:c:d:e", "%ff"])
def test_what_names_no_session_is_refused(typed: str) -> None:
    with pytest.raises(BadInput):
        SessionKey.parse(typed)
