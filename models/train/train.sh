#!/bin/sh
# train.sh DATA [options of train.py]: one training, from the corpus to a folder of files.
# Threads that wait without spinning: spinning is slow on a shared machine.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
OMP_WAIT_POLICY=passive exec "${PYTHON:-python3}" "$here/train.py" --data "$@"
