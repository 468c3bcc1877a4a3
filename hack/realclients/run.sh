#!/bin/sh
# Runs AIStore's own Go client of each version here against a reference
# cluster: run.sh ETLBENCH
set -eu
exe=$(realpath "$1")
cd "$(dirname "$0")"
state=$(mktemp -d)
export XDG_STATE_HOME="$state"
stop() {
	"$exe" down >/dev/null || true
	rm -rf "$state"
}
trap stop EXIT
"$exe" up --listen 127.0.0.1:0 --proxies 2 --targets 3 --sync none --detach >/dev/null
AIS_ENDPOINT=$("$exe" status -o json | sed -n 's/^ *"url": "\(.*\)",$/\1/p' | head -1)
export AIS_ENDPOINT
for version in v*; do
	echo "client $version:"
	(cd "$version" && go test -count=1 -timeout 5m ./...)
done
