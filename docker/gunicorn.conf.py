"""How gunicorn serves the API. Read by `docker/entrypoint.sh web` from the top-level folder."""

import os
from datetime import timedelta
from typing import Any

import structlog
from gunicorn import util
from gunicorn.glogging import Logger
from prometheus_client import multiprocess, values

from core import bare_answers
from core.logging import logging_config
from core.masking import mask_path

access_log = structlog.get_logger("gunicorn.access")


def variable(name: str, default: str) -> str:
    """Set but empty means unset, as everywhere in the settings."""
    return os.environ.get(name) or default


class Log(Logger):
    """Gunicorn's own lines and the access log, in the format and on the stream of all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logging_config(level=variable("LOG_LEVEL", "INFO"), form=variable("LOG_FORMAT", "json"))
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """One line a request. No query and no headers: they hold recipients and tokens, and so
        does the address at which a provider reports."""
        path = environ.get("PATH_INFO", "")
        if path.startswith(("/health", "/metrics")) and resp.status_code < 400:
            return  # Probes ask every few seconds; only their failures are news.
        access_log.info(
            "request",
            method=environ.get("REQUEST_METHOD"),
            path=mask_path(path),
            status=resp.status_code,
            milliseconds=round(request_time.total_seconds() * 1000),
            remote=environ.get("REMOTE_ADDR"),
            request_id=dict(resp.headers).get("X-Request-ID"),
        )


def write_problem(client: Any, status: int, reason: str, words: str) -> None:
    """For requests that cannot be read; gunicorn has logged why."""
    request_id = bare_answers.write_problem(client, status, reason, words)
    access_log.info("unreadable_request", status=status, request_id=request_id)


util.write_error = write_problem

bind = f"0.0.0.0:{variable('PORT', '8000')}"
# Measured on the accept path: sync workers beat every number of threads, and one more than cores
# was a tenth faster than as many, since one of them always waits for a commit or for a client.
worker_class = "sync"
workers = int(variable("WEB_CONCURRENCY", str(len(os.sched_getaffinity(0)) + 1)))
# The longest that it reads. The platform refuses what is longer than MAX_URL_BYTES by itself.
limit_request_line = 8190
# A request may take 30 s; on a stop, those that run get as long to end.
timeout = graceful_timeout = 30
# A worker makes room for a fresh one now and then, not all at once: slow leaks stay harmless.
max_requests = 10_000
max_requests_jitter = 2_000
# In memory: on a disk that hangs, the heartbeat file would make gunicorn kill healthy workers.
worker_tmp_dir = "/dev/shm"  # noqa: S108
# Nothing in a container would talk to it, and its socket needs a writable home folder.
control_socket_disable = True
logger_class = Log
loglevel = variable("LOG_LEVEL", "INFO").lower()
accesslog = "-"


# Without a folder for them each process tells its own metrics only.
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR" in os.environ

# Metrics are kept per place (0, 1, …) and not per process id: a fresh worker goes on counting in
# the files of the one it replaces, instead of leaving files behind that every scrape must read.


def pre_fork(server: Any, worker: Any) -> None:
    taken = {other.place for other in server.WORKERS.values()}
    worker.place = next(place for place in range(len(taken) + 1) if place not in taken)


def post_fork(server: Any, worker: Any) -> None:
    if SHARED_METRICS:
        values.ValueClass = values.MultiProcessValue(lambda: worker.place)


def child_exit(server: Any, worker: Any) -> None:
    if SHARED_METRICS:
        multiprocess.mark_process_dead(worker.place)
