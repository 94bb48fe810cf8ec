#!/bin/sh
# Walks the image's steps without Docker, in a clean folder: the files of the last commit that
# `.dockerignore` lets in, an environment of the locked packages, static files, then every command of the entrypoint.
# Needs PostgreSQL, RabbitMQ and Redis; leaves nothing behind. The exit status tells.
#   PYTHON=python3.13 docker/try_without_docker.sh
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
name=trial_$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
server=${POSTGRES_URL:-postgres://postgres@127.0.0.1:5432}
secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

export SECRET_KEY="$(secret)" API_KEY_PEPPER="$(secret)" JWT_SIGNING_KEY="$(secret)"
export CREDENTIALS_KEYS="$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
export CELERY_BROKER_URL="${CELERY_BROKER_URL:-amqp://guest:guest@127.0.0.1:5672//}"
export REDIS_URL="${REDIS_URL:-redis://127.0.0.1:6379/0}"
export DATABASE_URL="$server/$name" QUEUE_PREFIX="$name" HTTPS=true WEB_CONCURRENCY=1
# A name that is not ours: the health check has to get through all the same.
export ALLOWED_HOSTS=notify.example.com TRUSTED_PROXIES=1 TMPDIR="$folder/tmp"

say() { echo "== $*"; }
database() { "$folder/venv/bin/python" -c "
import psycopg, sys
psycopg.connect('$server/postgres', autocommit=True).execute(sys.argv[1])" "$1"; }
# Sends SIGTERM as Docker would, to this process only, and waits for its end.
stop() { kill "$1" 2>/dev/null && wait "$1" || true; }

cleanup() {
    status=$?
    trap - EXIT INT TERM
    for pid in ${web:-} ${worker:-} ${beat:-}; do stop "$pid"; done
    [ "$status" = 0 ] || tail -n 30 "$folder"/*.log 2>/dev/null || true
    if [ -n "${database_made:-}" ]; then
        cd "$folder/app" && python -c "
from django.conf import settings
from notification_platform.celery import app
with app.connection_for_write() as connection:
    for name in settings.QUEUE_NAMES:
        connection.default_channel.queue_delete(name)
    connection.default_channel.exchange_delete(settings.QUEUE_PREFIX)" || status=1
        database "DROP DATABASE $name WITH (FORCE)" || status=1
    fi
    rm -rf "$folder"
    [ "$status" = 0 ] && say "All of it works." || say "Failed ($status)."
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Repeats a command for up to 20 s, until it succeeds.
until_true() {
    for _ in $(seq 40); do
        if "$@" 2>/dev/null; then return; fi
        sleep 0.5
    done
    say "Waited in vain for: $*"
    return 1
}

say "Copy what .dockerignore lets in"
mkdir "$folder/app" "$folder/tmp"
cd "$top"
sed -n 's/^!//p' .dockerignore | xargs git archive HEAD -- | tar -x -C "$folder/app"

say "Install the locked packages"
"${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
"${PYTHON:-python3}" -m pip --python "$folder/venv/bin/python" install -qq --no-compile \
    --disable-pip-version-check --require-hashes --only-binary :all: \
    -r "$folder/app/requirements/base.txt"
PATH="$folder/venv/bin:$PATH"
cd "$folder/app"

say "Collect static files, with no setting at all"
export STATIC_MANIFEST=true
env -i PATH="$PATH" STATIC_MANIFEST=true python manage.py collectstatic --noinput \
    >"$folder/static.log"

say "Migrate"
database "CREATE DATABASE $name"
database_made=yes
docker/entrypoint.sh migrate >"$folder/migrate.log" 2>&1
docker/entrypoint.sh manage migrate --check

say "Serve, work and schedule"
free_port() { python -c "
import socket
with socket.create_server(('127.0.0.1', 0)) as server: print(server.getsockname()[1])"; }
# Asks as a proxy would.
fetch() { python -c "
import sys, urllib.request
asked = urllib.request.Request(sys.argv[1], headers={'X-Forwarded-Proto': 'https'})
print(urllib.request.urlopen(asked, timeout=9).read().decode())" "$1"; }
# The very words of the image's health check.
image_is_healthy() { python -c "
import json, re, subprocess, sys
words = re.search(r'HEALTHCHECK[^[]*(\[.*\])', open(sys.argv[1]).read())[1]
sys.exit(subprocess.call(json.loads(words)))" "$top/docker/Dockerfile"; }
PORT=$(free_port)
metrics_port=$(free_port)
export PORT
docker/entrypoint.sh web >"$folder/web.log" 2>&1 &
web=$!
HEARTBEAT_PATH="$folder/worker.heartbeat" WORKER_METRICS_PORT=$metrics_port WORKER_CONCURRENCY=2 \
    docker/entrypoint.sh worker >"$folder/worker.log" 2>&1 &
worker=$!
HEARTBEAT_PATH="$folder/beat.heartbeat" docker/entrypoint.sh beat >"$folder/beat.log" 2>&1 &
beat=$!
until_true image_is_healthy
fetch "http://127.0.0.1:$PORT/health/ready"
fetch "http://127.0.0.1:$PORT/admin/login/?next=/admin/" >"$folder/login.html"
fetch "http://127.0.0.1:$PORT/static/admin/css/base.css" >"$folder/base.css"
until_true test -e "$folder/worker.heartbeat"
until_true test -e "$folder/beat.heartbeat"
until_true fetch "http://127.0.0.1:$metrics_port/metrics" >"$folder/metrics"
# The same question that compose.yaml asks.
find "$folder/worker.heartbeat" "$folder/beat.heartbeat" -mmin -1 | grep -c heartbeat | grep -qx 2

say "Stop"
for process in web worker beat; do
    eval "pid=\$$process"
    kill "$pid"
    wait "$pid" || { say "$process ended with $?"; exit 1; }
done
web='' worker='' beat=''
