"""The `caretaker` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.exceptions import TyperException

from twin.errors import Unmodelled, WorldError

BAD_INPUT = 2
INTERRUPTED = 130
LOG_WIDTH = 110
"""Columns where there is no terminal to ask."""


class _Caretaker(typer.Typer):
    """A Typer whose every complaint is one line on stderr, with exit code 2."""

    def __call__(self, args: Sequence[str] | None = None) -> None:
        raise SystemExit(run(sys.argv[1:] if args is None else list(args)))


app = _Caretaker(
    name="caretaker",
    help="Looks after an ECS fleet. Rehearse it on a twin of ECS before it touches yours.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _caretaker(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(BAD_INPUT)


@app.command()
def rehearse(
    events: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EVENT]...", help="EventBridge events to put, in files (one, or a list); FILE@+10m delays."
        ),
    ] = None,
    world: Annotated[Path | None, typer.Option(metavar="FILE", help="The fleet; default: worlds/default.yaml.")] = None,
    seed: Annotated[str | None, typer.Option(metavar="N", help="Everything random derives from it.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON.")] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Most simulated time: 45m, 24h, or seconds.")] = None,
) -> None:
    """Run the real template, state machines and functions on a simulated fleet, and judge what they did."""
    _announce()
    from cli.rehearse import rehearse as command

    raise typer.Exit(command(events or [], world=world, seed=seed, json_file=json_file, until=until))


@app.command()
def event(
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="Logical id in the template.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A raw EventBridge event.")],
) -> None:
    """Print the payload that a function receives for an event, with its queue's envelope."""
    from cli.event import payload_text

    typer.echo(payload_text(function, file))


gate = typer.Typer(help="Let the judge decide on the deployments of a service.", rich_markup_mode=None)
app.add_typer(gate, name="gate")
Service = Annotated[str, typer.Argument(metavar="SERVICE", help="Its name or ARN.")]
Cluster = Annotated[str | None, typer.Option(metavar="C", help="Its cluster; default: of its ARN, or `default`.")]
Stack = Annotated[str, typer.Option(metavar="NAME", help="The stack in which Caretaker is deployed.")]
Endpoint = Annotated[str | None, typer.Option(metavar="URL", help="An AWS endpoint, if not AWS's own.")]


@gate.command("install")
def gate_install(
    service: Service, cluster: Cluster = None, stack: Stack = "caretaker", endpoint_url: Endpoint = None
) -> None:
    """Attach the hook that holds each step of the service's deployments until the judge has decided."""
    from cli.account import Account
    from cli.gate import install

    raise typer.Exit(install(Account(endpoint_url), stack, cluster, service))


@gate.command("remove")
def gate_remove(
    service: Service, cluster: Cluster = None, stack: Stack = "caretaker", endpoint_url: Endpoint = None
) -> None:
    """Take the hook off again; every other setting of the service's deployments stays."""
    from cli.account import Account
    from cli.gate import remove

    raise typer.Exit(remove(Account(endpoint_url), stack, cluster, service))


Id = Annotated[str, typer.Argument(metavar="ID", help="A release's or sweep's id, or a part of it that no other has.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who answers; default: who is logged in.")]


@app.command()
def releases(
    release: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show one, with its looks.")] = None,
    cluster: Annotated[str | None, typer.Option(metavar="C", help="Those of one cluster, by name or ARN.")] = None,
    service: Annotated[str | None, typer.Option(metavar="S", help="Those of one service, by name or ARN.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every look.")] = False,
    stack: Stack = "caretaker",
    endpoint_url: Endpoint = None,
) -> None:
    """Show the releases that are baked now, their evidence and what they still need, and what became of past ones."""
    from rich.console import Console

    from cli.releases import show_releases
    from cli.stack import Stack as Deployed

    width = None if sys.stdout.isatty() else LOG_WIDTH
    console = Console(highlight=False, width=width)
    chosen: dict[str, Any] = {"release": release, "cluster": cluster, "service": service, "as_json": as_json}
    show_releases(Deployed(stack, endpoint_url), console, **chosen)


@app.command()
def garbage(
    vpc: Annotated[str | None, typer.Option(metavar="ID", help="Of one VPC only.")] = None,
    why: Annotated[
        str | None, typer.Option(metavar="RESOURCE", help="Who refers to it, as a tree; ARN, name, id or a part.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every referrer.")] = False,
    every: Annotated[bool, typer.Option("--all", help="List what living services use, too.")] = False,
    stack: Stack = "caretaker",
    endpoint_url: Endpoint = None,
) -> None:
    """Show what Express services have and left behind, who still uses what, and what is garbage. Changes nothing."""
    from rich.console import Console

    from cli.garbage import show_garbage
    from cli.stack import Stack as Deployed

    console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
    show_garbage(Deployed(stack, endpoint_url), console, vpc=vpc, resource=why, as_json=as_json, every=every)


@app.command()
def sweep(
    service: Annotated[str | None, typer.Argument(metavar="[SERVICE]", help="Name, cluster/name or ARN.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show its resources until it is known what remains.")] = False,
    cluster: Cluster = None,
    vpc: Annotated[str | None, typer.Option(metavar="ID", help="Sweep this VPC, instead of a service's.")] = None,
    mode: Annotated[
        str | None, typer.Option(metavar="M", help="At most observe, approve or act; default: what policy says.")
    ] = None,
    interval: Annotated[float, typer.Option(metavar="S", help="Watching: seconds between two looks.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Watching: look once only.")] = False,
    stack: Stack = "caretaker",
    endpoint_url: Endpoint = None,
) -> None:
    """Ask for a sweep now of what Express services left in a VPC; or watch what becomes of one service's resources."""
    from rich.console import Console

    from cli.stack import Stack as Deployed
    from cli.sweep import ask
    from cli.sweep import watch as follow

    console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
    deployed = Deployed(stack, endpoint_url)
    if not watch:
        if once:
            raise WorldError("--once: goes with --watch")
        ask(deployed, console, service=service, cluster=cluster, vpc=vpc, mode=mode)
        return
    if service is None or vpc is not None or mode is not None:
        raise WorldError("--watch: takes a SERVICE, and neither --vpc nor --mode")
    code = follow(deployed, console, service=service, cluster=cluster, interval=interval, once=once)
    raise typer.Exit(code)


@app.command()
def approve(release: Id, by: By = None, stack: Stack = "caretaker", endpoint_url: Endpoint = None) -> None:
    """Let Caretaker do what a release or sweep that waits for a person has planned."""
    _answer(release, "approved", by, "", stack, endpoint_url)


@app.command()
def reject(
    release: Id,
    by: By = None,
    why: Annotated[str, typer.Option(metavar="TEXT", help="Kept in the record.")] = "",
    stack: Stack = "caretaker",
    endpoint_url: Endpoint = None,
) -> None:
    """Forbid what a release or sweep that waits for a person has planned."""
    _answer(release, "rejected", by, why, stack, endpoint_url)


def _answer(
    release: str, word: Literal["approved", "rejected"], by: str | None, why: str, stack: str, endpoint_url: str | None
) -> None:
    from cli.approval import answer
    from cli.stack import Stack as Deployed

    found = answer(Deployed(stack, endpoint_url), release, word, by or _person(), why)
    typer.echo(f"{word}: {found.id} of {found.of}")


def _person() -> str:
    """Who is logged in, as far as the system knows."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for the user's number: KeyError, from Python 3.13 on OSError
        return "somebody"


def run(args: list[str]) -> int:
    """Run the command; returns the exit code. Bad input is one line on stderr and 2."""
    try:
        code = typer.main.get_command(app).main(args=args, prog_name="caretaker", standalone_mode=False)
    except WorldError as error:
        return _complain(str(error))
    except Unmodelled as error:
        return _complain(f"the twin does not model this: {error}")
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("caretaker: interrupted", err=True)
        return INTERRUPTED
    except TyperException as error:
        message = getattr(error, "format_message", None)
        return _complain(message() if callable(message) else str(error))
    return code if isinstance(code, int) else 0


def _announce() -> None:
    """Say on a terminal that something is coming: the first seconds go into imports and the fleet."""
    if sys.stdout.isatty():
        print("building the world …", end="\r", flush=True)


def _complain(message: str) -> int:
    typer.echo(f"caretaker: {' '.join(message.split())}", err=True)
    return BAD_INPUT


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
