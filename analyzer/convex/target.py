"""Which deployment is meant and with which key, found as the Convex CLI finds it. Pure: files are read elsewhere.

1. `--url` and a key given by hand beat all.
2. Variables: of `--env-file` alone if it is given; else the environment, then `.env.local`, then `.env`. Where a
   variable stands in several, the first counts; an empty one is unset.
3. Of the variables: CONVEX_DEPLOY_KEY (or CONVEX_DEPLOYMENT_TOKEN); then CONVEX_SELF_HOSTED_URL with
   CONVEX_SELF_HOSTED_ADMIN_KEY; then CONVEX_DEPLOYMENT, which tells the name but brings no key.
The control plane is never asked, so `--prod`, `--preview-name` and `--deployment` choose nothing by themselves: they
say what must be true of the deployment that was found, and everything stops when it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzer.convex import keys, urls
from analyzer.convex.danger import TypeHint
from analyzer.convex.keys import Key
from analyzer.errors import NoDeployment, UsageError
from analyzer.model import DeploymentType
from analyzer.units import visible

DEPLOY_KEYS = ("CONVEX_DEPLOY_KEY", "CONVEX_DEPLOYMENT_TOKEN")
SELF_HOSTED_URL, SELF_HOSTED_KEY = "CONVEX_SELF_HOSTED_URL", "CONVEX_SELF_HOSTED_ADMIN_KEY"
DEPLOYMENT = "CONVEX_DEPLOYMENT"
WRITE_KEY = "ANALYZER_WRITE_KEY"
APP_URLS = (  # where frameworks look for the URL; they tell the region of a deployment whose name is known
    "CONVEX_URL",
    "PUBLIC_CONVEX_URL",
    "NEXT_PUBLIC_CONVEX_URL",
    "VITE_CONVEX_URL",
    "REACT_APP_CONVEX_URL",
    "EXPO_PUBLIC_CONVEX_URL",
)
_TYPES = {"prod": DeploymentType.PROD, "dev": DeploymentType.DEV, "preview": DeploymentType.PREVIEW}
_TYPES |= {"local": DeploymentType.LOCAL, "custom": DeploymentType.CUSTOM}
_LOCAL_NAMES = ("local-", "anonymous-")
_HOW = "set CONVEX_DEPLOY_KEY in the environment or .env.local, or give --url and --key-file"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user chose on the command line."""

    url: str | None = None
    is_prod: bool = False
    deployment: str | None = None  # name
    preview_name: str | None = None
    is_insecure_allowed: bool = False


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of one place."""

    where: str  # "the environment", ".env.local"
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment to talk to."""

    origin: str  # "https://happy-animal-123.convex.cloud"
    name: str | None  # of the deployment, as far as it is known without asking
    key: Key | None  # None: only what is public can be read
    found: str  # how it was found, a clause: "the key in CONVEX_DEPLOY_KEY of .env.local"
    hints: tuple[TypeHint, ...] = ()
    write_key: Key | None = None
    required_type: DeploymentType | None = None  # by --prod or --preview-name
    required_name: str | None = None  # by --deployment
    preview_name: str | None = None
    is_guessed: bool = False  # the URL was made from the name; another region or a custom domain is elsewhere
    notes: tuple[str, ...] = ()  # sentences on what else was found and not used


class _Found:
    """Looks variables up, and remembers where they stood."""

    def __init__(self, places: Sequence[Variables]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> tuple[str, str] | None:
        """Return (value, "NAME of .env.local"); None where it is unset or empty in the first place that has it."""
        for place in self._places:
            if name in place.values:
                value = place.values[name].strip()
                return (value, f"{name} of {place.where}") if value else None
        return None

    def first(self, names: Sequence[str]) -> tuple[str, str] | None:
        return next((found for name in names if (found := self[name])), None)


@dataclass(frozen=True, slots=True)
class _Named:
    """What CONVEX_DEPLOYMENT says."""

    name: str
    type: DeploymentType | None
    where: str


@dataclass(frozen=True, slots=True)
class _Credentials:
    """A key, and the URL that came with it."""

    key: Key | None
    where: str  # of the key; "" without one
    url: tuple[str, str] | None  # (text, where)


def find(choice: Choice, places: Sequence[Variables], given_key: tuple[str, str] | None = None) -> Target:
    """Decide which deployment is meant.

    places     where variables stand, the first that has one wins
    given_key  (text, where) of a key that was given by hand: a key file or standard input
    raises     UsageError naming what is missing or contradicts itself; never shows a key
    """
    if sum((choice.is_prod, choice.deployment is not None, choice.preview_name is not None)) > 1:
        raise UsageError("--prod, --deployment and --preview-name exclude each other", hint="give one of them")
    variables = _Found(places)
    named = _named_deployment(variables, is_needed=not (choice.url and given_key))
    credentials = _credentials(choice, variables, given_key, named)
    key = credentials.key
    required = _required_name(choice, credentials)
    origin, found, is_guessed = _origin(choice, variables, credentials, required, named)
    name = urls.name_in(origin) or required or (key.name if key else None)
    _check(choice, credentials, named, origin, name)
    hints = [TypeHint(f"the key in {credentials.where}", key.type_hint)] if key and key.type_hint else []
    if named and named.type:
        hints.append(TypeHint(named.where, named.type))
    write = variables[WRITE_KEY]
    return Target(
        origin=origin,
        name=name,
        key=key,
        found=found,
        hints=tuple(hints),
        write_key=keys.parse(*write) if write else None,
        required_type=_required_type(choice),
        required_name=required,
        preview_name=choice.preview_name,
        is_guessed=is_guessed,
        notes=_notes(variables, named, name, credentials.where),
    )


def _named_deployment(variables: _Found, *, is_needed: bool) -> _Named | None:
    """Return what CONVEX_DEPLOYMENT names, without the comment that the CLI writes behind it.

    is_needed  whether it may decide anything; if not, nonsense in it does not matter
    """
    found = variables[DEPLOYMENT]
    if found is None:
        return None
    text, where = found
    prefix, colon, name = text.partition("#")[0].strip().rpartition(":")
    if not urls.is_name(name) or (colon and prefix not in _TYPES):
        if not is_needed:
            return None
        raise UsageError(f"{where} does not name a deployment", hint="expected: dev:happy-animal-123")
    return _Named(name, DeploymentType.LOCAL if name.startswith(_LOCAL_NAMES) else _TYPES.get(prefix), where)


def _credentials(
    choice: Choice, variables: _Found, given_key: tuple[str, str] | None, named: _Named | None
) -> _Credentials:
    hand_url = (choice.url, "--url") if choice.url else None
    if given_key is not None:
        return _Credentials(keys.parse(*given_key), given_key[1], hand_url)
    if deploy_key := variables.first(DEPLOY_KEYS):
        return _Credentials(keys.parse(*deploy_key), deploy_key[1], hand_url)
    url, admin_key = variables[SELF_HOSTED_URL], variables[SELF_HOSTED_KEY]
    if hand_url:
        return _Credentials(keys.parse(*admin_key) if admin_key else None, admin_key[1] if admin_key else "", hand_url)
    present = url or admin_key
    if present is None:
        return _Credentials(None, "", None)
    if named:
        raise UsageError(
            f"{named.where} and {present[1]} name two deployments",
            hint=f"unset {DEPLOYMENT}, or both {SELF_HOSTED_URL} and {SELF_HOSTED_KEY}; as the Convex CLI wants it",
        )
    if url is None or admin_key is None:
        missing = SELF_HOSTED_KEY if url else SELF_HOSTED_URL
        raise UsageError(f"{missing} is not set, and {present[1]} needs it", hint="set both")
    return _Credentials(keys.parse(*admin_key), admin_key[1], url)


def _required_type(choice: Choice) -> DeploymentType | None:
    if choice.preview_name is not None:
        return DeploymentType.PREVIEW
    return DeploymentType.PROD if choice.is_prod else None


def _required_name(choice: Choice, credentials: _Credentials) -> str | None:
    if choice.deployment is None:
        return None
    prefix, colon, name = choice.deployment.rpartition(":")
    if not urls.is_name(name) or (colon and prefix not in _TYPES):
        raise UsageError(
            f"--deployment {visible(choice.deployment[:64])} is no name of a deployment",
            hint="expected: happy-animal-123, as on the dashboard; team and project cannot be looked up",
        )
    key = credentials.key
    if key and key.name and key.name != name:
        raise UsageError(f"--deployment is {name}, and the key in {credentials.where} is for {key.name}", hint=_HOW)
    return name


def _origin(
    choice: Choice, variables: _Found, credentials: _Credentials, required: str | None, named: _Named | None
) -> tuple[str, str, bool]:
    """Return where the deployment is, how that was found, and whether it is a guess."""
    if credentials.url:
        origin = urls.origin(*credentials.url, is_insecure_allowed=choice.is_insecure_allowed)
        return origin, credentials.url[1], False
    key = credentials.key
    name, how = required or (key.name if key else None), f"the key in {credentials.where}"
    if required:
        how = "--deployment"
    elif key is None and named:
        name, how = named.name, named.where
        if named.type == DeploymentType.LOCAL:
            raise UsageError(
                f"{how} names {name}, a local deployment, and nothing says where it listens",
                hint="give its address, `--url http://127.0.0.1:3210`, and its admin key with --key-file",
            )
    if name is None:
        if key:
            raise UsageError(f"{how} does not say of which deployment it is", hint="give --url")
        raise NoDeployment("nothing says which deployment is meant", hint=_HOW)
    for variable in APP_URLS:
        found = variables[variable]
        if found and name == _name_of_url(found[0]):
            return urls.origin(*found), f"{how} and {found[1]}", False
    if not urls.is_name(name):
        raise UsageError(
            f"{how} names {visible(name[:99])!r}, which is no name of a deployment", hint="expected: happy-animal-123"
        )
    return urls.cloud_origin(name), how, True


def _name_of_url(url: str) -> str | None:
    try:
        return urls.name_in(urls.origin(url, ""))
    except UsageError:
        return None


def _check(choice: Choice, credentials: _Credentials, named: _Named | None, origin: str, name: str | None) -> None:
    """Refuse what contradicts itself, before a key is sent anywhere."""
    key, where = credentials.key, credentials.where
    if choice.deployment and name and name != choice.deployment.rpartition(":")[2]:
        raise UsageError(f"--deployment is {choice.deployment}, and {origin} is {name}", hint="leave one of them out")
    if key and key.name and name and key.name != name:
        raise UsageError(
            f"the key in {where} is for {key.name}, and {origin} is {name}",
            hint=f"use a key of {name}, or the URL of {key.name}",
        )
    wanted = _required_type(choice)
    flag = "--prod" if choice.is_prod else "--preview-name"
    if key and wanted and key.type_hint not in (None, wanted):
        raise UsageError(f"{flag} was given, and {where} holds a {key.description}", hint=_HOW)
    if key is None and credentials.url is None and wanted and named and named.type != wanted:
        raise UsageError(f"{flag} was given, and only {named.where} tells of a deployment, another one", hint=_HOW)


def _notes(variables: _Found, named: _Named | None, name: str | None, key_where: str) -> tuple[str, ...]:
    notes = []
    if named and name and named.name != name:
        notes.append(f"{named.where} names {named.name}, which is not the deployment in use")
    self_hosted = variables[SELF_HOSTED_URL]
    if self_hosted and key_where.startswith(DEPLOY_KEYS):
        notes.append(f"{self_hosted[1]} is not used: a deploy key goes before it")
    return tuple(notes)
