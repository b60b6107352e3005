#!/bin/sh
# The entrypoint of the Postgres stand-in, which scripts/stand-in-base.sh builds. It supports the parts of the official
# image that docker-compose.yaml uses: POSTGRES_USER, POSTGRES_PASSWORD_FILE, POSTGRES_DB and PGDATA. It initializes an
# empty data folder, and starts an existing one unchanged.
set -eu

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    # By its socket alone, so that nobody takes it for ready.
    pg_ctl --pgdata="$PGDATA" --wait --options="-c listen_addresses=''" start
    createdb --host=/var/run/postgresql --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --pgdata="$PGDATA" --wait stop
fi
exec postgres -c listen_addresses='*' "$@"
