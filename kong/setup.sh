#!/bin/sh
# The set-up of docker-compose.yml. It makes what is not there yet, so it may run
# at every start, and ends. What it makes is readable for everyone who has the
# volume mounted: each volume is mounted only where its content belongs.
#
#   setup.sh secrets DATABASE CONTROL    a password for PostgreSQL; all that the
#                                        control plane reads through *_FILE
#   setup.sh edge-token EDGE             the management key of the gateway
set -eu

# random BYTES prints that many random bytes in hexadecimal.
random() { head -c "$1" /dev/urandom | od -A n -v -t x1 | tr -d ' \n'; }

# put FILE VALUE writes a file that is whole or not there, once.
put() {
	[ -s "$1" ] && return
	[ -n "$2" ]
	printf '%s\n' "$2" >"$1.new"
	chmod 0444 "$1.new"
	mv "$1.new" "$1"
}

case "$1" in
secrets)
	put "$2/password" "$(random 24)"
	put "$3/database_url" "postgres://latchkey:$(cat "$2/password")@postgres:5432/latchkey?sslmode=disable"
	put "$3/secret_key" "$(random 64)"
	put "$3/peppers" "p1:$(random 32)"
	;;
edge-token)
	[ -s "$2/token" ] && exit
	token=$(latchkey keys issue --management --scope edge:connect --name "edge: kong")
	put "$2/token" "$token"
	;;
*)
	echo "setup.sh: secrets DATABASE CONTROL, or edge-token EDGE" >&2
	exit 2
	;;
esac
