"""Command `lab7 validate`: check JSON output of lab7 against its published JSON Schemas, and print the schemas."""

from __future__ import annotations

from pathlib import Path

import click

from lab7.experiments.harness.cli import common
from lab7.experiments.harness.results.result import RESULT_NAME
from lab7.experiments.harness.results.run_folder import RunNotFoundError, load_run
from lab7.experiments.validation.schemas import VERSIONS, UnknownKindError, kind_of, schema, violations


@click.command("validate")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--as", "kind", type=click.Choice(tuple(VERSIONS)), help="kind of the files (default: by their content)")
@click.option("--schema", "printed", type=click.Choice(tuple(VERSIONS)), help="print this JSON Schema, and end")
@common.json_option
def validate_command(files: tuple[Path, ...], kind: str | None, printed: str | None, as_json: bool) -> None:
    """Check files by the JSON Schemas of lab7: result.json, the output of `lab7 list --json`, event logs of services.

    \b
    lab7 validate results/http-versions/*       result.json of these runs
    lab7 validate --schema result               the schema, for other programs

    FILE may be a run (its folder, or EXPERIMENT/latest). Exits with 1 if a file does not fit its schema. Needs no
    rights.
    """
    if printed is not None:
        common.print_json(schema(printed))
        return
    if not files:
        raise click.UsageError("give a FILE, or --schema with the name of a schema")
    found = {}
    for path in files:
        if not path.exists():
            path = _of_run(path)
        if path.is_dir() and not (path / RESULT_NAME).is_file():
            raise click.UsageError(f"the folder {path} has no {RESULT_NAME}: give a file, or the folder of a run")
        path = path / RESULT_NAME if path.is_dir() else path
        try:
            text = path.read_text(encoding="utf-8")
            chosen = kind or kind_of(text)
        except OSError as error:
            raise click.UsageError(f"{path} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise click.UsageError(f"{path} is not text in UTF-8, which JSON is (RFC 8259 section 8.1)") from error
        except UnknownKindError as error:
            raise click.UsageError(f"{path}: {error}") from error
        found[str(path)] = (chosen, list(violations(text, chosen)))
    if as_json:
        kinds = {name: (chosen, [vars(one) for one in some]) for name, (chosen, some) in found.items()}
        common.print_json({name: {"kind": chosen, "violations": some} for name, (chosen, some) in kinds.items()})
    else:
        for name, (chosen, some) in found.items():
            for one in some:
                click.echo(f"{name}: {one}")
            if not some:
                click.echo(f"{name}: valid ({chosen}, format {VERSIONS[chosen]})")
    raise click.exceptions.Exit(common.FAILED if any(some for _, some in found.values()) else common.SHOWN)


def _of_run(path: Path) -> Path:
    """Return the folder of the run that the text of a nonexistent path names. Raises click.BadParameter."""
    try:
        return load_run(str(path), Path("results"))[0]
    except RunNotFoundError as error:
        raise click.BadParameter(f"there is no file {path}, and {error}", param_hint="'FILE...'") from error
