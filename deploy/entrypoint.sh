#!/bin/sh
# Secrets come as files; settings read the environment. Then becomes the command it was given.
set -eu

if [ -r /run/secrets/secret_key ]; then
    SECRET_KEY=$(cat /run/secrets/secret_key)
    export SECRET_KEY
fi
if [ -z "${DATABASE_URL:-}" ] && [ -r /run/secrets/postgres_password ]; then
    # Hexadecimal, so that it needs no escaping in a URL: see compose.yaml.
    DATABASE_URL="postgres://bonds:$(cat /run/secrets/postgres_password)@${POSTGRES_HOST:-postgres}:5432/bonds"
    export DATABASE_URL
fi
exec "$@"
