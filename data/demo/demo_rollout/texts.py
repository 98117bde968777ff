"""Invented people, projects and sentences. Nobody and nothing here exists."""

from __future__ import annotations

import random

PEOPLE = (
    *("Ada Winter", "Bruno Feld", "Carla Monti", "Dario Stein", "Elif Kaya", "Femi Ajayi", "Greta Holm", "Hugo Brandt"),
    *("Ines Duarte", "Jonas Ek", "Keiko Mori", "Liam Doyle", "Mara Novak", "Nils Bergström", "Olga Petrenko"),
    *("Pavel Zeman", "Quinn Harper", "Rosa Iglesias", "Sami Haddad", "Tess Tester", "Uma Rao", "Viktor Lund"),
    *("Wanda Król", "Yusuf Demir"),
)
REPOSITORIES = ("acme/widgets", "acme/storefront", "acme/billing", "northwind/api", "northwind/mobile", "tailspin/docs")
MODELS = (
    ("anthropic/claude-sonnet-4", "anthropic"),
    ("openai/gpt-4o", "openai"),
    ("google/gemini-2.5-flash", "google"),
)
MODEL_WEIGHTS = (6, 3, 3)
FAILING_MODEL = MODELS[2]  # the one whose provider has a bad evening
ERRORS = {
    "LLM_STREAM_ERROR": "stream closed before the last token",
    "PROVIDER_OVERLOADED": "provider answered 529, overloaded",
    "TOOL_TIMEOUT": "tool run_command gave no answer within 120 s",
}
DECOY_TITLES = (
    "Contest page layout",
    "Latest release notes are cut off",
    "A/B Testing dashboard filters",
    "Test Drive booking form",
    "Attestation upload | step 2",
    "E2E encryption for attachments",
    "Fastest path <b>bold</b> in search results",
    "test",
    "Greatest hits carousel",
    "Speed up the unit tests of billing",
)
_VERBS = ("Refactor", "Fix", "Add", "Speed up", "Document", "Remove", "Rework", "Extend", "Split", "Review")
_THINGS = (
    *("the billing service", "pagination of orders", "the login form", "CSV import", "image upload", "the retry queue"),
    *("webhook signatures", "dark mode", "the search index", "invoice numbering", "the cart", "rate limits"),
    *("address validation", "the nightly job", "error pages", "the audit trail", "price rounding", "the café menu"),
)
_WAYS = ("", "", "", " on mobile", " for admins", " in the new layout", " without downtime", " behind a flag")
_ASKS = ("Can you", "Please", "Next:", "Now", "I would like you to")
_ANSWERS = (
    "Done: {verb} {thing}. {count} files changed, all checks pass.",
    "I found the cause in {thing} and fixed it; {count} lines moved.",
    "Here is a first version for {thing}. Shall I go on with the remaining {count} places?",
    "{thing} now behaves as described. I left {count} notes in the code.",
)
TOOLS = ("read_file", "edit_file", "run_command", "search_code", "list_files")
STEPS = ("loadContext", "callModel")


def title(rng: random.Random) -> str:
    """Return the title of a task."""
    return f"{rng.choice(_VERBS)} {rng.choice(_THINGS)}{rng.choice(_WAYS)}"


def question(rng: random.Random) -> str:
    """Return what a person asks."""
    return f"{rng.choice(_ASKS)} {rng.choice(_VERBS).lower()} {rng.choice(_THINGS)}{rng.choice(_WAYS)}."


def answer(rng: random.Random) -> str:
    """Return what the assistant says."""
    verb, thing = rng.choice(_VERBS).lower(), rng.choice(_THINGS)
    return rng.choice(_ANSWERS).format(verb=verb, thing=thing, count=rng.randint(2, 40))


def path(rng: random.Random) -> str:
    """Return the path of a changed file."""
    return (
        f"src/{rng.choice(('cart', 'billing', 'login', 'search', 'jobs'))}/{rng.choice(TOOLS)}_{rng.randint(1, 9)}.ts"
    )
