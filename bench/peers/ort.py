"""onnxruntime on one thread, for bench-encoder: a line of JSON in, a line of JSON out, until the input ends.

    python ort.py MODEL.onnx fp32|int8                  -> {"version": …} when it is loaded
    {"ids": [[101, …], …]}                              -> {"nanos": […], "embedding": […]}

`int8` is onnxruntime's own dynamic quantisation, weights per channel.
"""

import json
import logging
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic


def session(path, precision):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        if precision == "int8":
            path = quantised(path, Path(folder))
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def quantised(path, folder):
    model = onnx.load(path)
    # Shapes written down for the float graph would not fit the other.
    del model.graph.value_info[:]
    plain, made = folder / "plain.onnx", folder / "int8.onnx"
    onnx.save(model, plain)
    quantize_dynamic(plain, made, weight_type=QuantType.QInt8, per_channel=True)
    return made


def measured(session, sequences):
    """Every sequence once; the embedding is the first one's."""
    nanos, first = [], None
    for ids in sequences:
        given = {"input_ids": np.array([ids], dtype=np.int64)}
        start = time.perf_counter_ns()
        made = session.run(None, given)
        nanos.append(time.perf_counter_ns() - start)
        first = made[0][0] if first is None else first
    return {"nanos": nanos, "embedding": first.tolist()}


def main():
    logging.disable(logging.WARNING)  # the quantiser advises a step that changes nothing here
    model = session(*sys.argv[1:3])
    print(json.dumps({"version": onnxruntime.__version__}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(measured(model, question["ids"])), flush=True)


if __name__ == "__main__":
    main()
