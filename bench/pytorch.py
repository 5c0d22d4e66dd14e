"""PyTorch beside cnnvis: a peer that bench.c starts; conversation.h says what is asked of it.

    apt-get install python3-torch, or pip install torch

Everything is NCHW, as tensors are unless one says channels_last; the layout own is the same. The
backward operations are those that autograd calls, one gradient at a time. Threads are those of
OMP_NUM_THREADS; the instruction set is chosen by DNNL_MAX_CPU_ISA, ATEN_CPU_CAPABILITY and
OPENBLAS_CORETYPE, since convolutions go to oneDNN, to PyTorch's own loops, or to BLAS. For oneDNN
PyTorch rearranges the weights in every call, as it does for everyone who trains or has not frozen
the network.
"""
import os
import sys
import time

try:
    import numpy
    import torch
except ImportError:
    sys.exit(1)  # bench.c says how to install it

PERIOD = (1 << 20) + 1
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def random_tensor(seed, *shape):
    """The numbers of numbers.h: splitmix64, uniform in [-0.5, 0.5)."""
    size = int(numpy.prod(shape))
    z = numpy.arange(1, min(size, PERIOD) + 1, dtype=numpy.uint64)
    z = z * numpy.uint64(0x9E3779B97F4A7C15) + numpy.uint64(seed)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    z ^= z >> numpy.uint64(31)
    numbers = (z >> numpy.uint64(40)).astype(numpy.float32) * numpy.float32(2**-24)
    return torch.from_numpy(numpy.resize(numbers - numpy.float32(0.5), shape))


def make_call(operation, n, c, h, w, k, r, stride, pad):
    """A function that computes the operation once and returns its result."""
    p, q = (h + 2 * pad - r) // stride + 1, (w + 2 * pad - r) // stride + 1
    weight = random_tensor(3, k, c, r, r)
    x = random_tensor(1, n, c, h, w)
    if operation == "forward":
        bias = random_tensor(4, k)
        return lambda: torch.nn.functional.conv2d(x, weight, bias, stride, pad)
    dy = random_tensor(2, n, k, p, q)
    wanted = [operation == "backward_data"] + 2 * [operation == "backward_weights"]
    which = wanted.index(True)
    return lambda: torch.ops.aten.convolution_backward(
        dy, x, weight, [k], [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, wanted)[which]


def run_calls(call, clock, calls, length):
    """The seconds of up to that many calls, at least one, in about that much time."""
    seconds = []
    start = after = clock()
    while not seconds or (len(seconds) < calls and after - start < length):
        before = clock()
        call()
        after = clock()
        seconds.append("%.9f" % (after - before))
    return " ".join(seconds)


def main():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    prepared = {}
    print("PyTorch", torch.__version__, flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "prepare":
            prepared[rest[0]] = make_call(rest[0], *map(int, rest[1:]))
            print("ready", flush=True)
        elif word == "output":
            sys.stdout.buffer.write(prepared[rest[0]]().contiguous().numpy().tobytes())
            sys.stdout.buffer.flush()
        elif word == "run":
            operation, _, clock, calls, length = rest
            print(run_calls(prepared[operation], CLOCKS[clock], int(calls), float(length)),
                  flush=True)
        elif word == "forget":
            prepared.clear()
            print("ready", flush=True)
        else:
            sys.exit(f'"{line}" is not understood')


if __name__ == "__main__":
    with torch.inference_mode():
        main()
