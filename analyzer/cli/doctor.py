"""`analyzer doctor`: whether a live deployment can be collected from, and what would be missing."""

from __future__ import annotations

from dataclasses import replace

import click

from analyzer.cli import options, output
from analyzer.cli.deployment import Chosen, choosing
from analyzer.config import Settings

TIME_LIMIT_S = 60.0


@click.command()
@choosing
@options.settings()
@click.option("--deployment", "required_name", metavar="NAME", help="It must be this deployment.")
@options.output_format("text", "json")
def doctor(*, settings: Settings, chosen: Chosen, required_name: str | None, fmt: str) -> int:
    """Ask a deployment who it is, what the key may do, and what a collect would lack.

    Finds URL and key as the Convex CLI does: CONVEX_DEPLOY_KEY, or CONVEX_SELF_HOSTED_URL with
    CONVEX_SELF_HOSTED_ADMIN_KEY, from the environment, .env.local and .env; or --url and --key-file.

    HTTPS_PROXY and NO_PROXY are honoured; redirects are not followed.

    Reads only. Exit code 0: a collect would work, whatever is listed as missing.
    """
    target = chosen.target(required_name)
    from analyzer.convex.retry import Policy
    from analyzer.flows.doctor import examine
    from analyzer.report import doctor_text

    how = chosen.options(target, total_s=TIME_LIMIT_S)
    # Somebody is waiting for the diagnosis of a server that may well be down: ask again once, not for a quarter minute.
    how = replace(how, limits=replace(how.limits, connect_s=5.0, silence_s=20.0, policy=Policy(repeats=1)))
    found = examine(target, how, flag_names=settings.flags, function_names=settings.functions)
    if fmt == "json":
        output.write_json(doctor_text.as_json(found))
    else:
        output.write(doctor_text.text(found))
    return found.exit_code
