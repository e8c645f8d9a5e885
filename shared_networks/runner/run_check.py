"""The first item of every bundle's ``initialize``: refuse, in one line, a run that cannot mean what its user wants."""

import inspect
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monai.bundle import (
    ConfigExpression,
    ConfigParser,
    ConfigWorkflow,
    ReferenceResolver,
    create_workflow,
    run,
    run_workflow,
)

from shared_networks.errors import InputError
from shared_networks.io.dicom_files import split_choice
from shared_networks.runner.argument_kinds import mistaken_arguments
from shared_networks.runner.call_stack import calling_frames
from shared_networks.runner.config_keys import (
    is_referred_to,
    look_up,
    mistaken_values,
    switches_as_text,
    unknown_keys,
    whole_as_integers,
)
from shared_networks.runner.devices import check_devices
from shared_networks.runner.one_line_errors import find_input_error, runs_as_bundle_command, shorten_errors
from shared_networks.runner.typed_arguments import as_typed, refuse_doubled, texts_with_marks, typed_values


def check_run(
    required: Sequence[Mapping[str, Any]] = (),
    not_empty: Sequence[str] = (),
    for_each_process: Sequence[str] = (),
    missing: Sequence[str] = (),
    typed: bool = True,
) -> None:
    """Check the override keys and the inputs of a bundle run before anything is built.

    MONAI's runner takes any ``--name value`` without a word, also a mistyped one, and a missing folder shows up as a
    traceback from some inner part. A config uses this function like so (MONAI has no way to pass it the overrides, so
    it finds the workflow that is being initialised on the call stack)::

        "check_run": {
            "_target_": "shared_networks.runner.check_run",
            "_requires_": "@import_paths",
            "required": [
                {"any_of": ["dataset_dir", "datalist"], "remedy": "give --dataset_dir FOLDER or --datalist FILE"},
                {"any_of": ["semantic_checkpoint"], "needed": "$@beta > 0", "remedy": "train it with ..."}
            ],
            "not_empty": ["train#dataset#data"]
        },
        "initialize": ["@import_paths", "@check_run"]

    What is checked depends on who asks:

    - ``python -m monai.bundle run``: override keys, devices, ``missing``, ``required``, ``not_empty``. A failure ends
      the process with one line and exit code 1; a later error is printed as one line too. Paths are taken as they were
      typed, see :mod:`shared_networks.runner.typed_arguments`.
    - ``monai.bundle.run(...)`` or ``run_workflow(...)`` from Python: the same checks; :class:`InputError` is raised.
    - MONAI's runner without ``initialize``, because a word of the command took its place: that word. The network
      requires this function too, which is asked again then.
    - ``create_workflow(...)``: override keys only, because a workflow may be made to be looked at, not to be run.
    - ``ConfigWorkflow(...)``, ``ConfigParser``, MONAI Label's inference, ``verify_net_in_out``: nothing.

    Args:
        required: what must be given. ``any_of``: ids of paths of which at least one must be set; each one that is
            set must exist. ``remedy``: what the user can do. ``needed`` (default true): whether the requirement
            holds. A requirement whose ids nothing in the config refers to any more, because an override or an overlay
            replaced what used them, is passed over.
        not_empty: ids of lists; they are built and counted, so that what they say about the input is said first.
        for_each_process: ids of lists that must hold an item for every process that torchrun started, because none is
            to be taken twice.
        missing: what this machine lacks for the run, in words
            (:func:`shared_networks.utils.missing_for_tensorrt`); anything in it refuses the run.
        typed: whether the override keys are those of the command line; not for the stages of a launcher.

    Raises:
        InputError: see above; the message is one line.
        SystemExit: the same, when the process is the stock runner.
    """
    frames = calling_frames()
    initialize = frames.get(ConfigWorkflow.initialize.__code__)
    creation = frames.get(create_workflow.__code__)
    if initialize is None and ConfigWorkflow.run.__code__ in frames:
        with _refusals_as_lines():
            _refuse_lost_initialization(frames[ConfigWorkflow.run.__code__].f_locals["self"])
    if initialize is None or creation is None:
        return
    parser = initialize.f_locals["self"].parser
    with _refusals_as_lines():
        paths = [key for requirement in required for key in requirement["any_of"]]
        files = ConfigParser.load_config_files(creation.f_locals["config_file"])
        _check_keys(initialize.f_locals["self"], files, creation.f_locals["_args"], _typed() if typed else {}, paths)
        if run.__code__ in frames or run_workflow.__code__ in frames:
            if missing:
                raise InputError(f"this run needs {', and '.join(missing)}; leave out the config that asks for it")
            check_devices(parser)
            for requirement in required:
                _check_requirement(parser, **requirement)
            for key in not_empty:
                _check_list(parser, key)
            for key in for_each_process:
                _check_list(parser, key, int(os.environ.get("WORLD_SIZE", 1)))


def check_keys(files: Mapping[str, Any], paths: Sequence[str] = ()) -> None:
    """The part of :func:`check_run` that is about override keys, for a config that hands them on to others.

    ``files`` is the content in which the keys have their meaning, ``paths`` are keys that are known to be paths. Raises
    InputError and SystemExit, see :func:`check_run`.
    """
    frames = calling_frames()
    creation = frames.get(create_workflow.__code__)
    if creation is None:
        return
    with _refusals_as_lines():
        workflow = frames[ConfigWorkflow.initialize.__code__].f_locals["self"]
        _check_keys(workflow, files, creation.f_locals["_args"], _typed(), paths)


def _refuse_lost_initialization(workflow: ConfigWorkflow) -> None:
    """A word that belongs to no key, such as the second file of a pattern that the shell filled in, becomes the id of
    what MONAI runs first; where there is no such id, it runs nothing, not even these checks."""
    if workflow.init_id and workflow.init_id not in workflow.parser:
        raise InputError(
            f"{workflow.init_id}: belongs to no --key; every key takes one value: put a pattern of files (*) or a name "
            "with blanks in quotes."
        )


@contextmanager
def _refusals_as_lines() -> Iterator[None]:
    """Under the stock runner a refusal ends the process with one line, and so does any later error."""
    is_command = runs_as_bundle_command()
    if is_command:
        shorten_errors()
    try:
        yield
    except InputError as error:
        if is_command:
            raise SystemExit(f"error: {error}") from None
        raise


def _typed() -> dict[str, str | None]:
    """What was typed, where this process is the stock runner; raises InputError for a key that was given twice."""
    if not runs_as_bundle_command():
        return {}
    refuse_doubled(sys.argv[1:])
    return typed_values(sys.argv[1:])


def _check_keys(
    workflow: ConfigWorkflow,
    files: Mapping[str, Any],
    arguments: Mapping[str, Any],
    typed: Mapping[str, str | None],
    paths: Sequence[str],
) -> None:
    own = set(inspect.signature(ConfigWorkflow.__init__).parameters)
    ids = {workflow.init_id, workflow.run_id, workflow.final_id}
    given = {key: value for key, value in arguments.items() if key not in own | ids}
    parser = workflow.parser
    # MONAI passes over a key that is None: its default would stay, and a mistyped one goes unnoticed.
    lost = {key: None for key, text in typed.items() if text == "None" and key not in {*given, *own, *ids}}
    meant, faults = as_typed(given, typed, files, paths)
    faults += unknown_keys([*given, *lost], files, parser.get())
    mistaken = mistaken_values(given, files)
    faults += mistaken or mistaken_arguments(meant, parser.get())
    if faults:
        raise InputError("; ".join(faults))
    for key, meaning in (switches_as_text(given, files) | whole_as_integers(given, files) | lost).items():
        # '' is a text's None, and a part that is made of others is left to overlays.
        if key in parser and parser[key] != "" and not isinstance(parser[key], dict | list):
            _set(parser, key, meaning)
    texts = {key: value for key, value in meant.items() if value != given[key]}
    for key, text in (texts | texts_with_marks(files, meant)).items():
        if key in parser:  # the files may be others than the parser's, see check_keys
            _set_text(parser, key, text)


def _set(parser: ConfigParser, key: str, value: Any) -> None:
    """Change a value while the parser resolves another one: assigning to the parser would forget what it is doing."""
    *parents, name = ReferenceResolver.split_id(key)
    section = look_up(parser.get(), parents)
    section[int(name) if isinstance(section, list) else name] = value
    resolver = parser.ref_resolver
    resolver.items[ReferenceResolver.normalize_id(key)].update_config(value)
    resolver.resolved_content.pop(ReferenceResolver.normalize_id(key), None)


def _set_text(parser: ConfigParser, key: str, text: str) -> None:
    """Set a text as it is, whatever its characters: as an expression, which MONAI leaves alone."""
    key = ReferenceResolver.normalize_id(key)
    expression = "$" + ascii(text).replace("#", r"\x23").replace("@", r"\x40")
    parser.ref_resolver.items[key] = ConfigExpression(config=expression, id=key, globals=parser.globals)
    _set(parser, key, expression)


def _check_requirement(parser: ConfigParser, any_of: Sequence[str], remedy: str, needed: bool = True) -> None:
    in_use = [key for key in any_of if is_referred_to(key, parser.get())]
    if not (needed and in_use):
        return
    values = {key: parser.get_parsed_content(key) for key in in_use}
    paths = {key: Path(str(value)) for key, value in values.items() if value not in ("", None)}
    if not paths:
        raise InputError(f"{' or '.join(in_use)} is not set: {remedy}")
    for key, path in paths.items():
        if not split_choice(path)[0].exists():
            raise InputError(f"{key}: {path} does not exist: {remedy}")


def _check_list(parser: ConfigParser, key: str, processes: int = 1) -> None:
    try:
        count = len(parser.get_parsed_content(key))
    except Exception as error:
        fault = find_input_error(error)
        # What is not the input's fault keeps its traceback.
        if fault is None:
            raise
        raise fault from None
    if not count:
        raise InputError(
            f"{' '.join(ReferenceResolver.split_id(key))} is empty: check the folder or data list that was given"
        )
    if count < processes:
        raise InputError(
            f"{count} cases are too few for {processes} processes: start at most {count} (--nproc_per_node)"
        )
