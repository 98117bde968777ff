"""Keys: what is read off them, and that they never show themselves."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.convex import keys
from analyzer.convex.keys import Key, KeyKind
from analyzer.errors import UsageError
from analyzer.model import DeploymentType

SECRET = "eyJ2MiI6IjRhYmNkZWZnaGlqa2xtbm9w"
NAMES = st.from_regex(r"[a-z]{3,9}-[a-z]{3,9}-[0-9]{1,3}", fullmatch=True)
SECRETS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", min_size=12, max_size=80)


@pytest.mark.parametrize(
    ("text", "kind", "name", "hint"),
    [
        (f"prod:happy-animal-123|{SECRET}", KeyKind.PROD, "happy-animal-123", DeploymentType.PROD),
        (f"dev:tall-forest-1|{SECRET}", KeyKind.DEV, "tall-forest-1", DeploymentType.DEV),
        (f"preview:blue-sea-9|{SECRET}", KeyKind.PREVIEW, "blue-sea-9", DeploymentType.PREVIEW),
        (f"custom:odd-one-2|{SECRET}", KeyKind.CUSTOM, "odd-one-2", DeploymentType.CUSTOM),
        (f"convex-self-hosted|{SECRET}", KeyKind.ADMIN, "convex-self-hosted", None),
        (SECRET, KeyKind.LEGACY, None, DeploymentType.PROD),
    ],
)
def test_the_text_before_the_bar_tells_kind_name_and_type(
    text: str, kind: KeyKind, name: str | None, hint: DeploymentType | None
) -> None:
    key = keys.parse(f"  {text}\n", "CONVEX_DEPLOY_KEY")
    assert (key.kind, key.name, key.type_hint) == (kind, name, hint)
    assert key.header() == f"Convex {text}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no key"),
        ("   ", "holds no key"),
        (f"prod:a-b-1|{SECRET} {SECRET}", "blanks"),
        (f"prod:a-b-1|{SECRET}\r\nX-Other: 1", "blanks"),
        ("prod:a-b-1|ключ-и-тайна", "blanks or characters"),
        ("prod:a-b-1", "cut off at the bar"),
        ("prod:a-b-1|", "ends at the bar"),
        (f"project:team:proj|{SECRET}", "project token"),
        (f"preview:team:proj|{SECRET}", "preview key of a whole project"),
        (f"stage:a-b-1|{SECRET}", "unknown kind"),
        (f"prod:|{SECRET}", "unknown kind"),
    ],
)
def test_a_text_that_is_no_key_of_one_deployment_is_refused_without_being_shown(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        keys.parse(text, "CONVEX_DEPLOY_KEY in .env.local")
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert "CONVEX_DEPLOY_KEY in .env.local" in shown
    assert SECRET not in shown


@given(st.sampled_from(["prod:", "dev:", "preview:", "custom:", ""]), NAMES, SECRETS)
def test_no_way_of_showing_a_key_shows_its_secret(prefix: str, name: str, secret: str) -> None:
    key = keys.parse(f"{prefix}{name}|{secret}", "a test")
    shown = [repr(key), str(key), f"{key}", f"{key!r:>80}", key.description, repr([key]), repr({"key": key})]
    assert key.name == name
    assert not any(secret in text for text in shown)
    assert not hasattr(key, "__dict__")


def test_a_key_cannot_be_written_or_copied_anywhere() -> None:
    key = keys.parse(f"prod:a-b-1|{SECRET}", "a test")
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not written"):
            attempt(key)


@given(st.text(), st.text(), SECRETS)
def test_a_key_is_taken_out_of_any_text(before: str, after: str, secret: str) -> None:
    key = keys.parse(f"prod:a-b-1|{secret}", "a test")
    text = before + secret + after
    if secret not in before + after:
        assert key.removed_from(text) == before + "[key]" + after
    assert secret not in key.removed_from(text) or secret in "[key]"


def test_a_secret_too_short_to_be_one_is_not_struck_out_of_every_text() -> None:
    key = Key("name|a", KeyKind.ADMIN, "name")
    assert key.removed_from("a banana") == "a banana"
