#!/bin/sh
# train.sh DATA [options of train.py]: from the corpus to the files in ../dragoman-small.
# Threads that wait without spinning: spinning is slow on a shared machine.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
OMP_WAIT_POLICY=passive exec "${PYTHON:-python3}" "$here/train.py" --data "$@"
