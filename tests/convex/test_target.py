"""Which deployment is meant: flags, variables, files, and every way in which they can contradict each other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.convex import danger, dotenv, target, urls
from analyzer.convex.danger import TypeHint
from analyzer.convex.target import Choice, Target, Variables
from analyzer.errors import UsageError
from analyzer.model import DeploymentType

SECRET = "eyJ2MiI6IjRhYmNkZWZnaGlqa2xtbm9w"
PROD_KEY = f"prod:happy-animal-123|{SECRET}"
DEV_KEY = f"dev:tall-forest-1|{SECRET}"
ADMIN_KEY = f"convex-self-hosted|{SECRET}"


def find(
    choice: Choice | None = None,
    env: Mapping[str, str] | None = None,
    local: Mapping[str, str] | None = None,
    key: tuple[str, str] | None = None,
) -> Target:
    places = [Variables("the environment", env or {}), Variables(".env.local", local or {})]
    return target.find(choice or Choice(), places, key)


def test_a_deploy_key_alone_names_the_deployment_and_its_usual_address() -> None:
    found = find(env={"CONVEX_DEPLOY_KEY": PROD_KEY})
    assert found.origin == "https://happy-animal-123.convex.cloud"
    assert found.name == "happy-animal-123"
    assert found.is_guessed
    assert found.found == "the key in CONVEX_DEPLOY_KEY of the environment"
    assert found.hints == (TypeHint("the key in CONVEX_DEPLOY_KEY of the environment", DeploymentType.PROD),)


def test_the_region_is_taken_from_the_url_that_the_app_uses() -> None:
    found = find(
        env={"CONVEX_DEPLOY_KEY": DEV_KEY},
        local={
            "NEXT_PUBLIC_CONVEX_URL": "https://other-name-2.eu-west-1.convex.cloud",
            "VITE_CONVEX_URL": "https://tall-forest-1.eu-west-1.convex.cloud",
        },
    )
    assert found.origin == "https://tall-forest-1.eu-west-1.convex.cloud"
    assert not found.is_guessed


def test_a_url_and_a_key_given_by_hand_beat_everything() -> None:
    found = find(
        Choice(url="http://127.0.0.1:3210"),
        env={"CONVEX_DEPLOY_KEY": PROD_KEY, "CONVEX_DEPLOYMENT": "dev:x-y-1"},
        key=(ADMIN_KEY, "key.txt"),
    )
    assert (found.origin, found.name, found.found) == ("http://127.0.0.1:3210", "convex-self-hosted", "--url")


def test_nonsense_in_the_environment_does_not_matter_to_what_was_given_by_hand() -> None:
    by_hand = Choice(url="https://convex.example.org")
    assert find(by_hand, env={"CONVEX_DEPLOYMENT": "?"}, key=(ADMIN_KEY, "key.txt")).hints == ()
    with pytest.raises(UsageError, match="does not name a deployment"):
        find(env={"CONVEX_DEPLOYMENT": "?"})


def test_the_older_name_of_the_deploy_key_counts_only_without_the_newer() -> None:
    assert find(env={"CONVEX_DEPLOYMENT_TOKEN": DEV_KEY}).name == "tall-forest-1"
    both = find(env={"CONVEX_DEPLOYMENT_TOKEN": DEV_KEY, "CONVEX_DEPLOY_KEY": PROD_KEY})
    assert both.name == "happy-animal-123"


def test_the_environment_goes_before_the_file_and_an_empty_variable_hides_it() -> None:
    assert find(env={"CONVEX_DEPLOY_KEY": PROD_KEY}, local={"CONVEX_DEPLOY_KEY": DEV_KEY}).name == "happy-animal-123"
    with pytest.raises(UsageError, match="nothing says which deployment"):
        find(env={"CONVEX_DEPLOY_KEY": ""}, local={"CONVEX_DEPLOY_KEY": DEV_KEY})


def test_self_hosted_needs_both_variables() -> None:
    both = {"CONVEX_SELF_HOSTED_URL": "https://convex.example.org", "CONVEX_SELF_HOSTED_ADMIN_KEY": ADMIN_KEY}
    assert find(local=both).origin == "https://convex.example.org"
    for name in both:
        with pytest.raises(UsageError, match=f"{name} is not set"):
            find(local={k: v for k, v in both.items() if k != name})


def test_self_hosted_and_a_named_deployment_contradict_each_other() -> None:
    with pytest.raises(UsageError, match=r"CONVEX_DEPLOYMENT of \.env\.local and CONVEX_SELF_HOSTED_URL"):
        find(
            env={"CONVEX_SELF_HOSTED_URL": "https://c.example.org", "CONVEX_SELF_HOSTED_ADMIN_KEY": ADMIN_KEY},
            local={"CONVEX_DEPLOYMENT": "dev:tall-forest-1"},
        )


def test_a_deploy_key_goes_before_self_hosted_and_says_so() -> None:
    found = find(env={"CONVEX_DEPLOY_KEY": PROD_KEY, "CONVEX_SELF_HOSTED_URL": "https://c.example.org"})
    assert found.origin == "https://happy-animal-123.convex.cloud"
    assert any("CONVEX_SELF_HOSTED_URL of the environment is not used" in note for note in found.notes)


def test_the_comment_that_the_cli_writes_behind_a_deployment_is_no_part_of_its_name() -> None:
    found = find(env={"CONVEX_DEPLOYMENT": "dev:tall-forest-1 # team: t, project: p"})
    assert (found.name, found.key) == ("tall-forest-1", None)
    assert found.hints == (TypeHint("CONVEX_DEPLOYMENT of the environment", DeploymentType.DEV),)


def test_another_named_deployment_is_noted_and_still_counts_for_danger() -> None:
    found = find(env={"CONVEX_DEPLOY_KEY": DEV_KEY}, local={"CONVEX_DEPLOYMENT": "prod:happy-animal-123"})
    assert found.name == "tall-forest-1"
    assert any("names happy-animal-123, which is not the deployment in use" in note for note in found.notes)
    assert danger.combined(DeploymentType.DEV, found.hints)[0] == DeploymentType.PROD


def test_a_local_deployment_needs_its_address() -> None:
    for name in ("local:local-team-proj", "anonymous-agent", "dev:anonymous-agent"):
        with pytest.raises(UsageError, match="a local deployment"):
            find(local={"CONVEX_DEPLOYMENT": name})


@pytest.mark.parametrize(
    ("choice", "env", "says"),
    [
        (Choice(is_prod=True, deployment="a-b-1"), {}, "exclude each other"),
        (Choice(is_prod=True), {"CONVEX_DEPLOY_KEY": DEV_KEY}, "--prod was given, and CONVEX_DEPLOY_KEY of the env"),
        (Choice(is_prod=True), {"CONVEX_DEPLOYMENT": "dev:tall-forest-1"}, "--prod was given, and only CONVEX_DEPLO"),
        (Choice(preview_name="feature"), {"CONVEX_DEPLOY_KEY": PROD_KEY}, "--preview-name was given"),
        (Choice(deployment="other-one-2"), {"CONVEX_DEPLOY_KEY": PROD_KEY}, "is for happy-animal-123"),
        (Choice(deployment="team:proj:staging"), {}, "is no name of a deployment"),
        (Choice(deployment="no name"), {}, "is no name of a deployment"),
        (
            Choice(url="https://other-one-2.convex.cloud"),
            {"CONVEX_DEPLOY_KEY": PROD_KEY},
            "is for happy-animal-123, and https://other-one-2.convex.cloud is other-one-2",
        ),
        (Choice(url="https://a-b-1.convex.cloud", deployment="c-d-2"), {}, "--deployment is c-d-2, and"),
        (Choice(), {"CONVEX_DEPLOY_KEY": SECRET}, "does not say of which deployment"),
        (Choice(), {"CONVEX_DEPLOYMENT": "dev:"}, "does not name a deployment"),
        (Choice(), {}, "nothing says which deployment is meant"),
    ],
)
def test_what_contradicts_itself_is_named_before_anything_is_sent(
    choice: Choice, env: Mapping[str, str], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        find(choice, env)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2
    assert SECRET not in str(caught.value) + caught.value.hint


def test_flags_become_what_must_be_true_of_the_server() -> None:
    assert find(Choice(is_prod=True), {"CONVEX_DEPLOY_KEY": PROD_KEY}).required_type == DeploymentType.PROD
    assert find(Choice(deployment="prod:happy-animal-123")).required_name == "happy-animal-123"
    preview = find(Choice(preview_name="feature"), {"CONVEX_DEPLOY_KEY": f"preview:blue-sea-9|{SECRET}"})
    assert (preview.required_type, preview.preview_name) == (DeploymentType.PREVIEW, "feature")


def test_the_key_for_writing_is_a_separate_one() -> None:
    found = find(env={"CONVEX_DEPLOY_KEY": PROD_KEY, "ANALYZER_WRITE_KEY": DEV_KEY})
    assert found.write_key is not None
    assert found.write_key.name == "tall-forest-1"
    assert SECRET not in repr(found)


# ---- URLs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Happy-Animal-123.convex.cloud/", "https://happy-animal-123.convex.cloud"),
        ("https://a-b-1.eu-west-1.convex.cloud:443", "https://a-b-1.eu-west-1.convex.cloud"),
        (" http://localhost:3210 ", "http://localhost:3210"),
        ("http://127.0.0.2", "http://127.0.0.2"),
        ("http://[::1]:3210/", "http://[::1]:3210"),
        ("https://convex.example.org:8443", "https://convex.example.org:8443"),
    ],
)
def test_a_url_becomes_an_origin(url: str, expected: str) -> None:
    assert urls.origin(url, "--url") == expected
    assert urls.origin(expected, "--url") == expected


@pytest.mark.parametrize(
    ("url", "says", "hint"),
    [
        ("https://a-b-1.convex.site", "serves HTTP actions only", "https://a-b-1.convex.cloud"),
        ("https://a-b-1.eu-west-1.convex.site/x", "serves HTTP actions", "https://a-b-1.eu-west-1.convex.cloud"),
        ("https://dashboard.convex.dev/d/a-b-1", "a page of the platform", "Settings"),
        ("https://a-b-1.convex.cloud/api", "more than a host", "use https://a-b-1.convex.cloud"),
        ("http://a-b-1.convex.cloud", "everyone on the way can read the key", "--insecure"),
        ("http://10.0.0.7:3210", "everyone on the way", "--insecure"),
        ("a-b-1.convex.cloud", "no http(s) URL", "https://NAME.convex.cloud"),
        ("ftp://a-b-1.convex.cloud", "no http(s) URL", "https://NAME"),
        ("https://", "no http(s) URL", "https://NAME"),
        ("https://host:99999", "is no URL", "https://NAME"),
        ("https://[bad", "is no URL", "https://NAME"),
        ("https://user:hunter2@a-b-1.convex.cloud", "a user name or password", "before @"),
    ],
)
def test_each_wrong_url_has_a_sentence_of_its_own(url: str, says: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        urls.origin(url, "--url")
    assert says in str(caught.value)
    assert hint in caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_plain_http_to_another_machine_is_possible_when_insisted_on() -> None:
    assert urls.origin("http://10.0.0.7:3210", "--url", is_insecure_allowed=True) == "http://10.0.0.7:3210"


@given(st.text(max_size=60))
def test_any_text_is_an_origin_or_a_usage_error(text: str) -> None:
    try:
        found = urls.origin(text, "--url")
    except UsageError as error:
        assert str(error).isprintable()
    else:
        assert urls.origin(found, "--url") == found
        assert (
            found.startswith("https://")
            or urls.is_loopback(found.removeprefix("http://").rpartition(":")[0])
            or (urls.is_loopback(found.removeprefix("http://")))
        )


@pytest.mark.parametrize("host", ["localhost.evil.org", "127.0.0.1.evil.org", "2130706433", "0.0.0.0", "127.1"])
def test_a_host_that_only_looks_like_this_machine_is_not_it(host: str) -> None:
    assert not urls.is_loopback(host)


# ---- type ------------------------------------------------------------------------------------------------------

HINTS = st.lists(st.builds(TypeHint, st.just("a hint"), st.sampled_from(list(DeploymentType))), max_size=3)


@given(st.none() | st.sampled_from(list(DeploymentType)), HINTS)
def test_the_most_dangerous_witness_decides_and_silence_is_production(
    server: DeploymentType | None, hints: list[TypeHint]
) -> None:
    type_, reason = danger.combined(server, hints)
    said = [hint.type for hint in hints] + ([server] if server else [])
    assert danger.counts_as_production(type_) == (
        server not in danger.HARMLESS or any(t not in danger.HARMLESS for t in said)
    )
    if server:
        assert all(danger.BY_DANGER.index(type_) <= danger.BY_DANGER.index(t) for t in said)
    assert type_ in reason or "does not say" in reason


def test_the_reason_names_every_witness() -> None:
    hints = [TypeHint("the key", DeploymentType.DEV), TypeHint("CONVEX_DEPLOYMENT", DeploymentType.PROD)]
    assert danger.combined(DeploymentType.DEV, hints) == (
        DeploymentType.PROD,
        "CONVEX_DEPLOYMENT says prod; the server says dev, the key says dev, and the most dangerous counts",
    )
    assert danger.combined(None, hints[:1]) == (
        DeploymentType.UNKNOWN,
        "the server does not say which type it is; the key says dev, which is no proof",
    )


# ---- .env ------------------------------------------------------------------------------------------------------


def test_a_file_that_convex_dev_wrote_is_read() -> None:
    text = (
        "# Deployment used by `npx convex dev`\n"
        "CONVEX_DEPLOYMENT=dev:tall-forest-1234 # team: t, project: p\n\n"
        "NEXT_PUBLIC_CONVEX_URL=https://tall-forest-1234.convex.cloud\r\n"
        "export QUOTED='a # b'\n"
        'TWO="line one\\nline two"\n'
        "MULTI=`first\nsecond`\n"
        "EMPTY=\n"
        "YAML: like this\n"
        "not a line\n"
        "CONVEX_DEPLOYMENT=dev:later-one-2\n"
    )
    assert dotenv.parse(text) == {
        "CONVEX_DEPLOYMENT": "dev:later-one-2",
        "NEXT_PUBLIC_CONVEX_URL": "https://tall-forest-1234.convex.cloud",
        "QUOTED": "a # b",
        "TWO": "line one\nline two",
        "MULTI": "first\nsecond",
        "EMPTY": "",
        "YAML": "like this",
    }


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_][A-Z0-9_]{0,12}", fullmatch=True),
        st.text(st.characters(exclude_characters="'\r\x00\\", exclude_categories=["Cs"]), max_size=30),
        max_size=5,
    )
)
def test_whatever_is_quoted_comes_back_as_it_was(variables: dict[str, str]) -> None:
    text = "".join(f"{name}='{value}'  # said\n" for name, value in variables.items())
    assert dotenv.parse(text) == variables


@given(st.text(max_size=300))
def test_any_text_at_all_is_read_without_an_error(text: str) -> None:
    assert all(isinstance(value, str) for value in dotenv.parse(text).values())


# ---- proxies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "environment", "expected"),
    [
        ("https://a-b-1.convex.cloud", {"HTTPS_PROXY": "http://proxy:8080"}, "http://proxy:8080"),
        ("https://a-b-1.convex.cloud", {"https_proxy": "http://proxy:8080"}, "http://proxy:8080"),
        ("https://a-b-1.convex.cloud", {"ALL_PROXY": "http://proxy:8080"}, "http://proxy:8080"),
        ("https://a-b-1.convex.cloud", {"HTTPS_PROXY": ""}, None),
        ("https://a-b-1.convex.cloud", {}, None),
        ("https://convex.corp", {"HTTPS_PROXY": "http://proxy:8080", "NO_PROXY": "localhost,.corp"}, None),
        ("https://convex.corp:8443", {"HTTPS_PROXY": "http://proxy:8080", "NO_PROXY": "*"}, None),
        ("http://10.0.0.7:3210", {"HTTPS_PROXY": "http://proxy:8080", "ALL_PROXY": "http://proxy:8080"}, None),
        ("https://localhost:3210", {"HTTPS_PROXY": "http://proxy:8080"}, None),
    ],
)
def test_a_proxy_is_used_only_where_the_key_stays_hidden_from_it(
    origin: str, environment: Mapping[str, str], expected: str | None
) -> None:
    assert urls.proxy_for(origin, environment) == expected
