"""Compose file, image, `.env.example` and settings are written apart and have to agree."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from notification_platform.queues import queues_of

TOP = Path(__file__).resolve().parent.parent.parent
COMPOSE_TEXT = (TOP / "docker" / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OUR_SERVICES = {
    name: service
    for name, service in SERVICES.items()
    if service["image"].startswith("notification-platform:")
}
DOCKERFILE = (TOP / "docker" / "Dockerfile").read_text(encoding="utf-8")
ENTRYPOINT = (TOP / "docker" / "entrypoint.sh").read_text(encoding="utf-8")
GUNICORN = (TOP / "docker" / "gunicorn.conf.py").read_text(encoding="utf-8")
ENV_EXAMPLE = (TOP / ".env.example").read_text(encoding="utf-8")

COMPOSE_ONLY = {
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "RABBITMQ_PASSWORD",
    "FLOWER_PASSWORD",
    "WEB_ADDRESS",
    "WEB_PORT",
    "VERSION",
}
# In a container of the compose file the port inside is always the same.
NOT_FOR_COMPOSE = {"PORT"}


def read_by_settings() -> set[str]:
    """First arguments of every `env.text("NAME")` and its siblings."""
    tree = ast.parse((TOP / "notification_platform" / "settings.py").read_text(encoding="utf-8"))
    return {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "env"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def read_when_starting() -> set[str]:
    return set(re.findall(r"\$\{([A-Z_]+):-", ENTRYPOINT)) | set(
        re.findall(r'variable\(["\']([A-Z_]+)["\']', GUNICORN)
    )


def interpolated() -> set[str]:
    """Names that compose itself replaces; `$$NAME` is left to the container."""
    return set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", COMPOSE_TEXT))


# Their names are made of channel and priority.
RETRIES = {f"RETRY_{channel}_{lane}".upper() for channel, lane in settings.RETRIES}
KNOWN = read_by_settings() | read_when_starting() | RETRIES
EXAMPLE = set(re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, flags=re.MULTILINE))


# --- Variables -----------------------------------------------------------------------------------


def test_the_variables_that_are_read_are_found_at_all():
    assert {"SECRET_KEY", "DATABASE_URL", "QUEUE_PREFIX", "ENV_FILE"} <= read_by_settings()
    assert {"WORKER_LANES", "WORKER_CONCURRENCY", "WEB_CONCURRENCY"} <= read_when_starting()


def test_every_variable_that_is_read_stands_in_the_example():
    assert KNOWN - EXAMPLE == NOT_FOR_COMPOSE


def test_every_variable_of_the_example_is_read_by_something():
    assert EXAMPLE - KNOWN == COMPOSE_ONLY


def test_every_variable_of_the_example_stands_there_once_and_is_explained():
    lines = ENV_EXAMPLE.splitlines()
    names = [line.lstrip("#").partition("=")[0] for line in lines if re.match(r"#?[A-Z_]+=", line)]

    assert sorted(names) == sorted(EXAMPLE)


def test_compose_replaces_only_variables_of_the_example():
    assert interpolated() <= EXAMPLE
    assert interpolated() >= COMPOSE_ONLY


@pytest.mark.parametrize("name", OUR_SERVICES)
def test_a_service_sets_only_variables_that_the_platform_reads(name):
    assert set(OUR_SERVICES[name]["environment"]) <= KNOWN


def test_no_secret_is_written_into_the_compose_file():
    for name, service in SERVICES.items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search(r"PASS|SECRET|KEY|PEPPER|AUTH", variable):
                assert re.search(r"\$\{[A-Z_]+:\?", value), f"{name}: {variable}"
    for password in re.findall(r"://[^:@/\s]*:([^@\n]+)@", COMPOSE_TEXT):
        assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", password)


def test_a_secret_of_the_example_is_empty():
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", ENV_EXAMPLE, flags=re.MULTILINE))

    for name, value in values.items():
        if re.search(r"PASSWORD|SECRET|_KEY|PEPPER", name):
            assert not value, name


# --- Services ------------------------------------------------------------------------------------


def test_every_queue_has_a_worker():
    consumed = {
        queue
        for service in OUR_SERVICES.values()
        if service["command"] == ["worker"]
        for queue in queues_of(service["environment"]["WORKER_LANES"].split(","))
    }

    assert consumed == {queue.name for queue in settings.CELERY_TASK_QUEUES}


def test_every_queue_belongs_to_a_lane():
    assert queues_of([]) == [queue.name for queue in settings.CELERY_TASK_QUEUES]


def test_an_unknown_lane_is_refused_with_the_lanes_there_are():
    with pytest.raises(ValueError, match=r"no lane 'fast'.*high, normal, bulk, housekeeping"):
        queues_of(["high", "fast"])


def test_every_command_of_compose_is_one_of_the_entrypoint():
    commands = set(re.findall(r"^    ([a-z]+)\)$", ENTRYPOINT, flags=re.MULTILINE))

    assert commands == {"web", "worker", "beat", "migrate", "manage"}
    for name, service in OUR_SERVICES.items():
        assert service["command"][0] in commands, name


def test_who_is_waited_for_can_be_waited_for():
    for name, service in SERVICES.items():
        for other, wait in (service.get("depends_on") or {}).items():
            if wait["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"], f"{name} waits for {other}"
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"] == "no", f"{name} waits for {other}"


def test_every_lasting_service_is_watched():
    for name, service in SERVICES.items():
        by_the_image = service.get("command") == ["web"] and "HEALTHCHECK" in DOCKERFILE

        assert by_the_image or "healthcheck" in service, name


def test_nobody_serves_or_works_before_the_database_is_migrated():
    for name in OUR_SERVICES.keys() - {"migrate"}:
        waits = OUR_SERVICES[name]["depends_on"]

        assert waits["migrate"] == {"condition": "service_completed_successfully"}, name


def test_a_worker_gets_longer_to_stop_than_its_longest_hand_over():
    for name, service in OUR_SERVICES.items():
        if service["command"] == ["worker"]:
            minutes = int(service["stop_grace_period"].removesuffix("m"))

            assert minutes * 60 > settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT, name


def test_every_foreign_image_is_pinned():
    for name in SERVICES.keys() - OUR_SERVICES.keys():
        assert re.search(r":\d+\.\d+", SERVICES[name]["image"]), name


def test_pages_for_operators_listen_on_this_machine_only():
    for name in ("rabbitmq", "flower"):
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"]), name


# --- Image ---------------------------------------------------------------------------------------


def test_the_image_does_not_run_as_root():
    final_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (\S+)", final_stage, flags=re.MULTILINE)

    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_the_image_serves_the_static_files_that_it_collected():
    build, final_stage = DOCKERFILE.split("\nFROM ")[1:]

    assert "STATIC_MANIFEST=true" in build.partition("collectstatic")[0]
    assert "STATIC_MANIFEST=true" in final_stage


def test_all_code_and_nothing_else_gets_into_the_image():
    lines = (TOP / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    packages = {app.partition(".")[0] for app in settings.INSTALLED_APPS}
    ours = {package for package in packages if (TOP / package).is_dir()}
    translations = {
        Path(path).relative_to(TOP).parts[0]
        for path in settings.LOCALE_PATHS
        if Path(path).is_dir()
    }

    assert "*" in lines
    assert ours | translations <= allowed
    assert not allowed & {"docs", "tests", "bench", ".env", "var", ".git"}
    for path in allowed:
        assert (TOP / path).exists(), path
