"""Rules that hold for the whole repository."""

import ast
import re
import shlex
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser

from shared_networks.runner.config_keys import mistaken_values, unknown_keys

ROOT = Path(__file__).resolve().parents[1]
BUNDLES = sorted(ROOT.glob("*_bundle"))
PACKAGE = sorted((ROOT / "shared_networks").rglob("*.py"))
TEXT = {".py", ".json", ".md", ".txt", ".sh", ".toml", ".conf", ""}
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*_bundle/docs/*.md"))]

COMMANDS = "commands"  # the modules beside the rooms
LEVELS = [
    {"errors"},
    {"utils"},
    {"blocks", "io", "visualize"},
    {"inferers", "metrics", "nets", "runner"},
    {"clinical", "engines", "losses", "transforms"},
    {"data", "outputs"},
    {"handlers"},
    {COMMANDS},
]


def room_of(path):
    """The room of the package that a file lies in."""
    parts = path.relative_to(ROOT / "shared_networks").parts
    return parts[0] if len(parts) > 1 else "errors" if parts[0] in ("errors.py", "__init__.py") else COMMANDS


def name_of(document):
    """A document's name below the repository, for the names of tests."""
    return document.relative_to(ROOT).as_posix()


def repository_files():
    """Files that are in the repository or would be with the next commit."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    files = (ROOT / name for name in listing.stdout.splitlines())
    return [path for path in files if path.is_file() and path.suffix in TEXT and path.name != "LICENSE"]


def imports(path, within_functions=True):
    """Dotted names of the modules that a Python file imports, also those that only a function or a type needs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if within_functions else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def commands(document):
    """Shell commands of a document's bash blocks, each split into words."""
    for block in re.findall(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def test_nothing_is_left_open_and_no_machine_is_named():
    # Put together here, so that this file does not hold them.
    words = ["TO" + "DO", "FIX" + "ME", "# no" + "qa"]
    places = ["/wo" + "rk/", "/tm" + "p/", "/ho" + "me/", "../sha" + "red/"]
    for path in repository_files():
        text = path.read_text(encoding="utf-8")
        for word in words if path.relative_to(ROOT) == Path(".ci/run") else words + places:
            assert word not in text, f"{path}: {word}"


def test_the_tree_is_small_enough_to_travel():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    sizes = [(ROOT / name).stat().st_size for name in listing.stdout.split("\0") if (ROOT / name).is_file()]
    assert max(sizes) < 12e6 and sum(sizes) < 25e6


def test_files_are_short():
    for path in repository_files():
        if path.suffix == ".py":
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= (300 if path in PACKAGE else 400), f"{path}: {lines} lines"


def test_checkpoints_are_loaded_without_code():
    found = 0
    for path in [*PACKAGE, *ROOT.glob("benchmarks/*.py"), *ROOT.glob("tests/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                found += 1
                assert "weights_only=True" in [ast.unparse(keyword) for keyword in node.keywords], path
    assert found


def test_rooms_depend_downwards_only():
    """A room may import those above it in LEVELS; functions that import when they are called count too."""
    level = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
    for path in PACKAGE:
        room = room_of(path)
        for name in imports(path):
            assert not any(bundle.name in name for bundle in BUNDLES), path
            if name.startswith("shared_networks."):
                other = name.split(".")[1]
                other = other if other in level else COMMANDS
                assert other == room or level[other] < level[room], f"{path}: {room} imports {other}"


def test_no_module_imports_itself_by_a_detour():
    graph = {}
    for path in PACKAGE:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[module] = {name for name in imports(path) if name.startswith("shared_networks")}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_every_import_is_a_requirement():
    """A package of an extra is optional: only functions (and checkers of types) may import it."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    required = {re.split(r"[<>=!~\[ ]", line)[0].lower() for line in text.split()}
    # Extras are imported where they are used, by functions that say which package is missing.
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    optional = {name.lower() for name in re.findall(r'"([A-Za-z][\w-]*)', extras)}
    distributions = packages_distributions()
    for path in PACKAGE:
        at_once = {module.split(".")[0] for module in imports(path, within_functions=False)}
        for name in {module.split(".")[0] for module in imports(path)} - {"shared_networks"}:
            if name not in sys.stdlib_module_names and not (name in optional and name not in at_once):
                # A distribution may be split into parts, as itk is into itk-core, itk-io and others.
                found = {part.lower() for whole in distributions[name] for part in (whole, whole.split("-")[0])}
                assert required & found, f"{path}: {name}"


def test_importing_the_package_is_cheap():
    code = "import sys, shared_networks; sys.exit(int('torch' in sys.modules or 'monai' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_licences():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
    for folder in (*BUNDLES, ROOT / "tests" / "monai_schema"):
        assert (folder / "LICENSE").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", ["quickstart.sh", "runtests.sh", ".ci/run", ".ci/environment.sh"])
def test_scripts_are_well_formed(name):
    assert subprocess.run(["bash", "-n", str(ROOT / name)], check=False).returncode == 0
    assert (ROOT / name).stat().st_mode & 0o100 or name.endswith("environment.sh")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_of_documents_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_of_documents_can_be_given(document):
    """Files that the commands name are there, and the configs know the keys."""
    runs = 0
    for words in commands(document):
        if words[0].startswith("./"):
            assert (ROOT / words[0]).is_file(), words[0]
        if "monai.bundle" not in words:
            continue
        runs += 1
        arguments = words[words.index("run") + 1 :]
        run_id = arguments.pop(0)
        given = {key.removeprefix("--"): value for key, value in zip(arguments[::2], arguments[1::2], strict=True)}
        given = {key: DefaultParseValue(value) for key, value in given.items()}
        names = given.pop("config_file")
        files = [names] if isinstance(names, str) else names
        content = ConfigParser.load_config_files([str(ROOT / name) for name in files])
        assert run_id in content
        assert run_id != "training" or "ckpt_dir" in given, "the shipped weights would be replaced"
        assert (ROOT / given["bundle_root"]).is_dir()
        assert unknown_keys(given, content, content) + mistaken_values(given, content) == []
        for value in given.values():
            if "sample_data" in str(value):
                assert (ROOT / value).exists(), value
    assert runs or document.name != "README.md"
