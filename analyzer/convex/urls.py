"""URLs of deployments: which are usable, what they say, and the mistakes people make with them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from analyzer.errors import UsageError
from analyzer.units import visible

CLOUD = "convex.cloud"
_CLOUD_HOST = re.compile(r"([a-z0-9-]+)(?:\.[a-z0-9-]+)?\.convex\.cloud")
_SITE_HOST = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+)?)\.convex\.site")
_HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # who hosts it, names it; the platform uses no underscores
LONGEST_SHOWN = 100  # characters of a URL in an error


def origin(url: str, where: str, *, is_insecure_allowed: bool = False) -> str:
    """Return `scheme://host[:port]` of a deployment's URL, in lower case, without a default port.

    where    names the flag, variable or file for errors
    raises   UsageError: no http(s) URL, credentials or a path in it, the dashboard, a `.convex.site` address, or
             http:// to another machine without is_insecure_allowed
    """
    parts, port = _split(url.strip(), where)
    host = (parts.hostname or "").lower()
    shown = _shown(parts, host)
    if site := _SITE_HOST.fullmatch(host):
        raise UsageError(
            f"{where} is {shown}, which serves HTTP actions only and not the deployment itself",
            hint=f"use https://{site[1]}.{CLOUD}",
        )
    if host in ("dashboard.convex.dev", "convex.dev", "www.convex.dev", "api.convex.dev", "docs.convex.dev"):
        raise UsageError(
            f"{where} is {shown}, a page of the platform and no deployment",
            hint="the deployment's URL is on the dashboard under Settings, URL & Deploy Key",
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(f"{where} has more than a host: {shown}", hint=f"use {parts.scheme.lower()}://{parts.netloc}")
    if parts.scheme.lower() == "http" and not is_loopback(host) and not is_insecure_allowed:
        raise UsageError(
            f"{where} is {shown}: over http:// everyone on the way can read the key",
            hint="use https://, or --insecure if the network is yours alone",
        )
    scheme = parts.scheme.lower()
    bracketed = f"[{host}]" if ":" in host else host
    return f"{scheme}://{bracketed}" + (f":{port}" if port and port != _DEFAULT_PORTS[scheme] else "")


def _split(url: str, where: str) -> tuple[SplitResult, int | None]:
    """Split a URL; one that cannot be shown safely is never part of the error."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(f"{where} is no URL", hint=f"expected: https://NAME.{CLOUD}") from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"{where} holds a user name or password", hint="leave out everything before @ in the URL")
    host = (parts.hostname or "").lower()
    if parts.scheme.lower() not in _DEFAULT_PORTS or not _HOST.fullmatch(host) or not url.isprintable():
        raise UsageError(
            f"{where} is {visible(url[:LONGEST_SHOWN])!r}, no http(s) URL", hint=f"expected: https://NAME.{CLOUD}"
        )
    return parts, port


def _shown(parts: SplitResult, host: str) -> str:
    """Return a URL without its query, which may hold a key."""
    return visible(f"{parts.scheme.lower()}://{host}{parts.path}"[:LONGEST_SHOWN])


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its text alone: nothing is looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def name_in(deployment_origin: str) -> str | None:
    """Return the deployment's name where the URL holds it; None for a custom domain, self-hosted or local."""
    match = _CLOUD_HOST.fullmatch(urlsplit(deployment_origin).hostname or "")
    return match[1] if match else None


def cloud_origin(name: str) -> str:
    """Return where a deployment of the platform usually is; other regions and custom domains are elsewhere."""
    return f"https://{name}.{CLOUD}"


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a deployment."""
    return _NAME.fullmatch(text) is not None


def proxy_for(deployment_origin: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy that the environment wants for a deployment; None: none, or not for this host.

    Only HTTPS_PROXY counts, and only for https://: through such a proxy the key travels encrypted.
    """
    variables = {name.lower(): value for name, value in environment.items() if value}
    parts = urlsplit(deployment_origin)
    proxy = variables.get("https_proxy") or variables.get("all_proxy")
    if parts.scheme != "https" or not proxy or is_loopback(parts.hostname or ""):
        return None
    import urllib.request

    if urllib.request.proxy_bypass_environment(parts.netloc, {"no": variables.get("no_proxy", "")}):  # type: ignore[attr-defined]
        return None
    return proxy
