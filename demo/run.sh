#!/usr/bin/env bash
# Starts sim-llm, the sidecar and Envoy, lets the demo's users loose on them, and keeps serving.
# Usage: demo/run.sh SECONDS   (0: until Ctrl-C)
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-0}
run=demo/run
wasm=target/wasm32-wasip1/wasm/dragoman.wasm
bin=target/release

# Each run starts knowing nothing.
rm -rf "$run" && mkdir -p "$run"
pids=""
last=""
# shellcheck disable=SC2086 # a list of numbers
stop() { [ -z "$pids" ] || kill $pids 2>/dev/null || true; wait 2>/dev/null || true; }
trap stop EXIT
trap 'exit 130' INT TERM

start() { # NAME COMMAND...
  local name=$1; shift
  "$@" >"$run/$name.log" 2>&1 &
  last=$!
  pids="$pids $last"
}

ready() { # NAME URL
  for _ in $(seq 600); do
    curl --silent --fail --output /dev/null "$2" && return
    kill -0 "$last" 2>/dev/null || break
    sleep 0.2
  done
  echo "$1 did not start; the end of $run/$1.log:" >&2
  tail -n 20 "$run/$1.log" >&2
  exit 1
}

for port in 10000 10001 9901 8088 9101 9102 9103; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "port $port is in use: stop what listens there, then run \`make demo\` again" >&2
    exit 1
  fi
done

echo "starting three simulated models, the sidecar and Envoy ..."
start sim-llm "$bin/sim-llm" --config demo/sim.yaml
ready sim-llm http://127.0.0.1:9101/v1/models
start sidecar "$bin/dragoman" serve --config demo/dragoman.yaml
ready sidecar http://127.0.0.1:8088/readyz
"$bin/dragoman" render envoy --config demo/dragoman.yaml --wasm "$wasm" --out "$run/envoy.yaml"
start envoy "$ENVOY" -c "$run/envoy.yaml" --concurrency 2 --disable-hot-restart --log-level warning
ready envoy http://127.0.0.1:9901/ready

status=0
"$bin/demo" --gateway http://127.0.0.1:10000 --sidecar http://127.0.0.1:8088 --prompts demo/prompts.jsonl || status=$?

cat <<'TEXT'

The gateway serves at http://127.0.0.1:10000. Ask something of your own (in a second terminal):

  curl -si http://127.0.0.1:10000/v1/chat/completions -H 'content-type: application/json' \
    -d '{"model":"auto","messages":[{"role":"user","content":"Write a Python function that sorts a list."}]}'

Rate the answer by its x-vsr-replay-id, and see why its route was chosen:

  curl -s http://127.0.0.1:8088/v1/router_replay/REPLAY_ID/feedback -d '{"rating":5,"correct":true}'
  curl -s http://127.0.0.1:8088/v1/router_replay/REPLAY_ID

The API's description is at http://127.0.0.1:8088/openapi.json, a page for people at http://127.0.0.1:8088/.
TEXT

if [ "$seconds" -gt 0 ]; then
  left=$((seconds - SECONDS))
  [ "$left" -le 0 ] || { echo "Serving for another $left s (DEMO_SECONDS=$seconds)."; sleep "$left"; }
else
  echo "Serving until Ctrl-C."
  while :; do sleep 3600 & wait $!; done
fi
exit "$status"
