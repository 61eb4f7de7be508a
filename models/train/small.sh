#!/bin/sh
# small.sh DATA: from the corpus to the files in ../dragoman-small: a wide one first, which then gives up inner channels.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
wide=$here/.cache/wide
"$here/train.sh" "$1" --size wide --out "$wide"
"$here/train.sh" "$1" --shrink "$wide/model.onnx" --variants 280000 --steps 9000 \
  --rate 1e-3 --table-rate 3e-3 --muon-rate 0.01 --readout 4000
