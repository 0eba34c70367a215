#!/bin/sh
# Fetches the two files of the API documentation's viewer, Stoplight Elements,
# into dist/, where they are embedded from. The package is pinned by version and
# by the SHA-512 of its archive; where dist/ holds that version, nothing is done.
set -eu

version=9.0.25
sha512=ac36cdb20482368ef8972579edc073ca6fbc17af3f4768fb50fab8af7c39a8aeb4f2f5fc00f349853abed8c91b4e3b0cddb521148a11748db6e6d948f392a908

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
dist=$here/dist
if [ "$(cat "$dist/version" 2>/dev/null)" = "$version" ]; then
	exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
archive=$(cd "$work" && npm pack --silent "@stoplight/elements@$version")
if command -v sha512sum >/dev/null; then
	got=$(sha512sum "$work/$archive" | cut -d' ' -f1)
else
	got=$(shasum -a 512 "$work/$archive" | cut -d' ' -f1)
fi
if [ "$got" != "$sha512" ]; then
	echo "fetch.sh: @stoplight/elements@$version is not the archive that was pinned" >&2
	exit 1
fi

tar -xzf "$work/$archive" -C "$work" package/web-components.min.js package/web-components.min.js.LICENSE.txt package/styles.min.css package/LICENSE
for file in web-components.min.js styles.min.css; do
	gzip -9 -n -c "$work/package/$file" >"$dist/$file.gz"
done
cat "$work/package/LICENSE" "$work/package/web-components.min.js.LICENSE.txt" >"$dist/LICENSE.txt"
echo "$version" >"$dist/version" # last: it says that the rest is there
