#!/bin/sh
# What a container of the image does: web | worker | beat | migrate | manage <command>.
# Further arguments go to the program, so `worker --loglevel DEBUG` works. Every program replaces
# this shell and gets its signals first-hand.
set -eu
cd "$(dirname "$0")/.."

command=${1:-}
[ $# -eq 0 ] || shift

# A wrong setting should end the container with its name, before anything is served or taken.
check() {
    python manage.py check --fail-level ERROR
}

# Counters of several processes meet in files. Always a new folder: old files would be counted too.
share_metrics() {
    PROMETHEUS_MULTIPROC_DIR=$(mktemp -d)
    export PROMETHEUS_MULTIPROC_DIR
}

case $command in
    web)
        check
        share_metrics
        exec gunicorn -c docker/gunicorn.conf.py "$@" notification_platform.wsgi:application
        ;;
    worker)
        check
        queues=$(python -m notification_platform.queues "${WORKER_LANES:-}")
        [ "${WORKER_METRICS_PORT:-0}" = 0 ] || share_metrics
        exec celery -A notification_platform worker -P threads -c "${WORKER_CONCURRENCY:-8}" \
            -Q "$queues" "$@"
        ;;
    beat)
        check
        exec celery -A notification_platform beat "$@"
        ;;
    migrate)
        exec python manage.py migrate --noinput "$@"
        ;;
    manage)
        exec python manage.py "$@"
        ;;
    *)
        echo "Unknown command '$command'. There is: web, worker, beat, migrate, manage." >&2
        exit 64
        ;;
esac
