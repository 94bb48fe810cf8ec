#!/bin/sh
# Reads what no test can run here. hadolint comes with requirements/dev.txt (its `bin` has to be
# on the PATH), dclint with node; shellcheck is asked where there is one.
set -eu
cd "$(dirname "$0")/.."

hadolint --config docker/.hadolint.yaml docker/Dockerfile
npx --yes dclint@3.1.0 --config docker/.dclintrc.yaml --max-warnings 0 docker/compose.yaml
for script in docker/*.sh; do
    sh -n "$script"
done
if command -v shellcheck >/dev/null; then
    shellcheck docker/*.sh
fi
