"""Images and compose file: pinned, for nobody special, and made of what the checkout has."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from flows.deploy import pools_of
from perennial.cli import main

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
IMAGES = sorted((INFRA / "images").glob("*.Dockerfile"))
COMPOSE = yaml.safe_load((INFRA / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
# The compose specification's words that we use; a misspelt one would be ignored by some engines.
WORDS = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "init",
    "networks", "ports", "read_only", "restart", "secrets", "security_opt", "stop_grace_period",
    "tmpfs", "user", "volumes",
}  # fmt: skip
PINNED = re.compile(r"^[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w.-]+)?$")


def copied(image):
    """The checkout's paths that an image copies."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", image.read_text(encoding="utf-8"), re.MULTILINE)
    return [path for line in lines for path in line.split()[:-1]]


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.stem)
def test_an_image_is_pinned_runs_as_nobody_and_says_how_it_is(image):
    text = image.read_text(encoding="utf-8")
    bases = re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
    assert len(bases) == 1 and PINNED.match(bases[0])
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    python = (ROOT / "Makefile").read_text(encoding="utf-8").partition("?= python")[2].split()[0]
    assert bases[0].startswith(f"python:{python}.")
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE) and "HEALTHCHECK" in last
    assert "pip install --no-cache-dir -c constraints.txt" in text
    extras = re.findall(r"\.\[([^\]]+)\]", text)[0].replace("${DEVICE}", "gpu").split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras) <= project["optional-dependencies"].keys()
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for path in copied(image):
        assert (ROOT / path).exists() and f"!{path}" in allowed, path


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.stem)
def test_an_image_copies_every_room_that_its_rooms_import(image):
    rooms = {path for path in copied(image) if (ROOT / path / "__init__.py").is_file()}
    ours = re.compile(
        r"^\s*(?:from|import) (perennial|expectations|tasks|flows|infra|tests)\b", re.MULTILINE
    )
    for path in (path for room in rooms for path in (ROOT / room).rglob("*.py")):
        assert set(ours.findall(path.read_text(encoding="utf-8"))) <= rooms, path


def test_the_compose_file_names_only_what_it_has():
    demanded = re.findall(r"\$\{([A-Z_]+):\?", (INFRA / "compose.yaml").read_text("utf-8"))
    for name, service in SERVICES.items():
        assert service.keys() <= WORDS, name
        assert PINNED.match(service["image"]), name
        assert service["networks"] == ["inside"] and "inside" in COMPOSE["networks"]
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_completed_successfully":
                assert SERVICES[other]["restart"] == "on-failure", other
            else:
                assert how == {"condition": "service_healthy"}
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert volume.endswith(":ro") and (INFRA / source).exists(), volume
            else:
                assert source in COMPOSE["volumes"], volume
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for value in service.get("environment", {}).values():
            assert set(re.findall(r"\$\{([A-Z_]+)\}", value)) <= set(demanded), value
        if "build" in service:
            assert (INFRA / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).is_file()
            assert service["read_only"] and service["cap_drop"] == ["ALL"]
        else:  # our own have theirs from the image, where the service does not say otherwise
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_a_key_is_given_to_nobody_but_whom_it_is_for():
    given = {name: set(each.get("environment", {})) for name, each in SERVICES.items()}

    def who_has(variable):
        return {name for name, variables in given.items() if variable in variables}

    assert who_has("PERENNIAL_SIGNING_KEY") == {"search", "worker", "trainer"}
    assert who_has("PERENNIAL_SESSION_KEY") == {"worker", "trainer"}
    holders = {"search", "worker", "trainer", "mlflow", "store-init", "seaweedfs"}
    assert who_has("AWS_SECRET_ACCESS_KEY") == holders
    # The receiver listens to others; a source that it is not told of is not believed.
    assert given["receiver"] == {"PREFECT_API_URL", "PERENNIAL_WEBHOOK_SECRETS"}
    pairs = SERVICES["receiver"]["environment"]["PERENNIAL_WEBHOOK_SECRETS"].split("},")
    assert [each.split("=")[0] for each in pairs] == ["grafana", "alertmanager", "mlflow"]


def test_what_mlflow_and_prefect_need_to_be_told_here_they_are():
    """A webhook to a private address; pages that are written at the start, on a read-only root."""
    mlflow, prefect = (SERVICES[name]["environment"] for name in ("mlflow", "prefect"))
    assert mlflow["MLFLOW_WEBHOOK_ALLOWED_SCHEMES"] == "http,https"
    assert mlflow["MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"] == "true"
    assert "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY" in mlflow
    (folder, _, _), (home, _, options) = (
        each.partition(":") for each in SERVICES["prefect"]["tmpfs"]
    )
    assert prefect["PREFECT_UI_STATIC_DIRECTORY"].startswith(f"{folder}/")
    assert (home, options) == ("/home/perennial", "uid=10001,gid=10001,mode=700")


def test_each_of_our_programs_is_there_and_takes_these_options(capsys):
    for command in [service["command"] for service in SERVICES.values() if "build" in service]:
        options = [word for word in command if word.startswith("--")]
        if command[0] == "perennial":
            verb = [word for word in command[1:3] if not word.startswith("-")]
            assert main([*verb, "--help"]) == 0, command
            assert set(options) <= set(capsys.readouterr().out.split()), command
        elif command[:2] == ["python", "-m"]:
            source = (ROOT / Path(*command[2].split("."))).with_suffix(".py").read_text("utf-8")
            assert all(f'"{option}"' in source for option in options), command


def test_every_process_that_the_flows_need_is_in_it():
    deployed = yaml.safe_load((INFRA / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    pools = {each["work_pool"]["name"] for each in deployed}
    served = {
        service["command"][-1]
        for service in SERVICES.values()
        if service.get("command", [])[:3] == ["prefect", "worker", "start"]
    }
    assert pools <= served
    assert SERVICES["deploy"]["command"] == ["python", "-m", "flows.deploy"]
    assert set(pools_of(INFRA / "prefect.yaml")) == pools
    scraped = yaml.safe_load((INFRA / "prometheus" / "prometheus.yaml").read_text("utf-8"))
    jobs = {each["job_name"] for each in scraped["scrape_configs"]}
    assert jobs == {"perennial", "receiver"} and {"search", "receiver"} <= SERVICES.keys()
    retention = SERVICES["prometheus"]["command"][-1]
    assert retention.endswith("=60d")  # an alert looks back over 31
