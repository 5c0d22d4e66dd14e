#!/usr/bin/env python3
"""Whole networks, beside PyTorch and ONNX Runtime: what bench/networks.c measures, measured there.

    make build/networks && python3 bench/networks.py [--set avx2] [--part vgg19] [--threads 1]

Run it where build/ is. For each instruction set and part it starts PyTorch in a process of its own,
held to the same instruction set and as many threads, lets it and build/networks --quick take turns,
and prints the medians with their ratio: above 1, cnnvis is faster, or smaller. It takes some five
minutes. Networks are torchvision's, written down below, with random weights; torchvision is not
needed. Debian: apt-get install python3-torch, and run it with /usr/bin/python3.

Where it is installed, ONNX Runtime takes its turns, too: forward, and on the widest instruction set
of this CPU, since it cannot be held to less. PyTorch writes the models for it, into build/, and the
logits of both must agree. --keep leaves them there, and our weights.
    npm install --ignore-scripts --prefix build/peers onnxruntime-node"""
import argparse, csv, json, os, statistics, subprocess, sys, time

NETWORKS = ["alexnet", "googlenet", "vgg19"]
PARTS = NETWORKS + ["linear", "training", "heatmap"]
SETS = {  # for cnnvis: how oneDNN, PyTorch's own kernels and OpenBLAS are held to the same
    "avx512": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "avx2": {"OPENBLAS_CORETYPE": "Haswell", "DNNL_MAX_CPU_ISA": "AVX2",
             "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
}
TURNS = 3
WEIGHTS = "build/vgg19.safetensors"

# ---- The networks ----

def define_networks(torch):
    nn = torch.nn

    def classifier(inputs):
        return [nn.Flatten(), nn.Linear(inputs, 4096), nn.ReLU(True), nn.Linear(4096, 4096),
                nn.ReLU(True), nn.Linear(4096, 1000)]

    def alexnet():
        layers, channels = [], 3
        for filters, kernel, stride, pad, pool in ((64, 11, 4, 2, 1), (192, 5, 1, 2, 1),
                (384, 3, 1, 1, 0), (256, 3, 1, 1, 0), (256, 3, 1, 1, 1)):
            layers += [nn.Conv2d(channels, filters, kernel, stride, pad), nn.ReLU(True)]
            layers += [nn.MaxPool2d(3, 2)] * pool
            channels = filters
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(6), *classifier(256 * 6 * 6))

    def vgg19():
        layers, channels = [], 3
        for filters, times in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
            for _ in range(times):
                layers += [nn.Conv2d(channels, filters, 3, 1, 1), nn.ReLU(True)]
                channels = filters
            layers += [nn.MaxPool2d(2, 2)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), *classifier(512 * 7 * 7))

    def block(channels, filters, kernel, stride=1):
        return nn.Sequential(nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=False),
                             nn.BatchNorm2d(filters, eps=0.001), nn.ReLU(True))

    class Inception(nn.Module):
        def __init__(self, c, one, reduce3, three, reduce5, five, pooled):
            super().__init__()
            self.views = nn.ModuleList([
                block(c, one, 1),
                nn.Sequential(block(c, reduce3, 1), block(reduce3, three, 3)),
                nn.Sequential(block(c, reduce5, 1), block(reduce5, five, 3)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), block(c, pooled, 1))])

        def forward(self, x):
            return torch.cat([view(x) for view in self.views], 1)

    def googlenet():
        def pool(kernel): return nn.MaxPool2d(kernel, 2, ceil_mode=True)
        return nn.Sequential(
            block(3, 64, 7, 2), pool(3), block(64, 64, 1), block(64, 192, 3), pool(3),
            Inception(192, 64, 96, 128, 16, 32, 32), Inception(256, 128, 128, 192, 32, 96, 64),
            pool(3), Inception(480, 192, 96, 208, 16, 48, 64),
            Inception(512, 160, 112, 224, 24, 64, 64), Inception(512, 128, 128, 256, 24, 64, 64),
            Inception(512, 112, 144, 288, 32, 64, 64), Inception(528, 256, 160, 320, 32, 128, 128),
            pool(2), Inception(832, 256, 160, 320, 32, 128, 128),
            Inception(832, 384, 192, 384, 48, 128, 128),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))

    def small():
        layers = []
        for channels, filters in ((3, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(channels, filters, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(2, 2)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, 10))

    def toynet():
        def conv(c, k, r, s): return [nn.Conv2d(c, k, r, s, r // 2), nn.ReLU(True)]
        return nn.Sequential(
            *conv(3, 32, 9, 2), nn.MaxPool2d(2, 2), *conv(32, 64, 3, 1), nn.MaxPool2d(2, 2),
            *conv(64, 96, 3, 1), *conv(96, 112, 3, 1), nn.MaxPool2d(2, 2), nn.Flatten(),
            nn.Linear(112 * 16, 96), nn.ReLU(True), nn.Linear(96, 12))

    return {f.__name__: f for f in (alexnet, vgg19, googlenet, small, toynet)}

# ---- PyTorch, in a process of its own. Each job returns a function: one call, what -> number ----

def network_job(torch, model):
    model = model.eval().requires_grad_(False)
    image = torch.rand(1, 3, 224, 224, requires_grad=True)

    def run():
        start = time.perf_counter()
        logits = model(image)
        middle = time.perf_counter()
        image.grad = None
        logits[0, 0].backward()
        end = time.perf_counter()
        return {"forward": 1e3 * (middle - start), "forward + gradient": 1e3 * (end - start)}
    return run

def linear_job(torch):
    layer = torch.nn.Linear(25088, 4096).requires_grad_(False)
    image, slope = torch.rand(1, 25088, requires_grad=True), torch.ones(1, 4096)
    gigabytes = 4e-9 * 25088 * 4096

    def run():
        start = time.perf_counter()
        y = layer(image)
        middle = time.perf_counter()
        image.grad = None
        y.backward(slope)
        end = time.perf_counter()
        return {"forward": gigabytes / (middle - start), "backward": gigabytes / (end - middle)}
    return run

def training_job(torch, name, model, side, classes):
    images, labels = torch.rand(64, 3, side, side), torch.arange(64) % classes
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def run():
        start = time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        return {name: 64 / (time.perf_counter() - start)}
    return run

def draw_heatmap(torch, networks):
    """Saliency of VGG-19 with weights that stay in their file until they are read."""
    import warnings
    import numpy
    warnings.simplefilter("ignore")  # the mapped weights cannot be written, and need not be
    with torch.no_grad():
        torch.nn.Linear.reset_parameters = torch.nn.Conv2d.reset_parameters = lambda self: None
        model = networks["vgg19"]().eval().requires_grad_(False)
    with open(WEIGHTS, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    numbers = numpy.memmap(WEIGHTS, dtype=numpy.uint8, mode="r", offset=8 + length)
    header.pop("__metadata__", None)
    for (name, entry), (_, place) in zip(header.items(), model.named_parameters()):
        part = numbers[slice(*entry["data_offsets"])].view("<f4").reshape(entry["shape"])
        place.data = torch.from_numpy(part)
    image = torch.rand(1, 3, 224, 224, requires_grad=True)
    model(image).max().backward()
    heat = image.grad.abs().amax(1)[0]
    gray = (255 * heat / heat.max()).byte().numpy().tobytes()
    with open("build/heatmap_torch.pgm", "wb") as file:
        file.write(b"P5 224 224 255\n" + gray)

def peak_memory():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))

def medians(found):
    """Of a list of what -> number, for each what that all have."""
    return {what: statistics.median(one[what] for one in found)
            for what in found[0] if all(what in one for one in found)}

def take_turn(run):
    start, found = time.perf_counter(), []
    while time.perf_counter() - start < 0.5 or len(found) < 2:
        found.append(run())
    return medians(found)

def work(part, threads):
    """Prints what -> number as JSON: for a heatmap at once, else for each line of the input."""
    import torch
    torch.set_num_threads(threads)
    networks = define_networks(torch)
    if part == "heatmap":
        draw_heatmap(torch, networks)
        return print(json.dumps({"memory": peak_memory()}))
    if part == "linear": jobs = [linear_job(torch)]
    elif part == "training":
        jobs = [training_job(torch, "small", networks["small"](), 32, 10),
                training_job(torch, "toynet", networks["toynet"](), 64, 12)]
    else: jobs = [network_job(torch, networks[part]())]
    for run in jobs: run(), run()
    for _ in sys.stdin:
        found = {}
        for run in jobs: found.update(take_turn(run))
        print(json.dumps(found), flush=True)

# ---- ONNX Runtime: onnxruntime.js, in the conversation that conversation.h describes ----

def start_onnxruntime(threads):
    """The process, or None if it is absent, and what it calls itself."""
    script = os.path.join(os.path.dirname(__file__), "onnxruntime.js")
    try:
        runtime = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
        version = runtime.stdout.readline().decode().strip()
    except FileNotFoundError:
        version = None
    if version: return runtime, version
    return None, "without ONNX Runtime (npm install --ignore-scripts --prefix build/peers " \
                 "onnxruntime-node)"

def tell(runtime, line):
    runtime.stdin.write(line.encode() + b"\n")
    runtime.stdin.flush()

def expect_ready(runtime, line):
    tell(runtime, line)
    if runtime.stdout.readline() != b"ready\n": sys.exit(f"networks.py: ONNX Runtime: {line}")

def load_model(torch, runtime, name):
    """Writes the network down as ONNX has it, and checks that both compute the same."""
    from pytorch import random_tensor
    model, path = define_networks(torch)[name]().eval(), f"build/{name}.onnx"
    for value in model.parameters():  # as large as a trained network's: so are all activations
        if value.dim() > 1: torch.nn.init.kaiming_uniform_(value, nonlinearity="relu")
    image = random_tensor(1, 1, 3, 224, 224)
    torch.onnx.export(model, image, path, opset_version=13)
    expect_ready(runtime, f"load {path}")
    tell(runtime, "output forward")
    theirs = torch.frombuffer(bytearray(runtime.stdout.read(4 * 1000)), dtype=torch.float32)
    with torch.inference_mode(): logits = model(image)[0]
    difference = ((logits - theirs).abs().max() / logits.abs().max()).item()
    if not difference < 1e-4:
        sys.exit(f"networks.py: {name} in ONNX Runtime and in PyTorch differ by {difference:g}")

def ask_onnxruntime(runtime):
    tell(runtime, "run forward nchw wall 100 0.5")
    return {"forward": 1e3 * statistics.median(map(float, runtime.stdout.readline().split()))}

# ---- All, in turns ----

def run_cnnvis(part, instruction_set, threads):
    """what -> number, and what -> unit"""
    subprocess.run(["build/networks", "--quick", "--keep", "--part", part, "--set",
                    instruction_set], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
    with open("build/networks.csv") as file: rows = list(csv.DictReader(file))
    return {row["what"]: float(row["value"]) for row in rows}, {r["what"]: r["unit"] for r in rows}

def start_torch(part, instruction_set, threads):
    return subprocess.Popen(
        [sys.executable, __file__, "--work", "--part", part, "--threads", str(threads)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=dict(os.environ, **SETS[instruction_set]))

def ask(worker):
    print(file=worker.stdin, flush=True)
    return json.loads(worker.stdout.readline())

def time_heatmap(instruction_set):
    start = time.perf_counter()
    with start_torch("heatmap", instruction_set, 2) as worker:
        found = json.loads(worker.communicate()[0])
    return dict(found, time=time.perf_counter() - start)

def compare(part, instruction_set, threads, runtime):
    heatmap, ours, theirs, onnx = part == "heatmap", [], [], []
    if heatmap: threads = 2
    worker = None if heatmap else start_torch(part, instruction_set, threads)
    for _ in range(TURNS):
        found, units = run_cnnvis(part, instruction_set, threads)
        ours.append(found)
        theirs.append(time_heatmap(instruction_set) if heatmap else ask(worker))
        onnx.append(ask_onnxruntime(runtime) if runtime else {})
    if worker: worker.communicate()
    ours, theirs, onnx = medians(ours), medians(theirs), medians(onnx)
    for what in theirs:
        more_is_better = units[what] in ("GB/s", "images/s")
        line = f"{part:10}  {what:18}  {instruction_set:6}  {threads:7}  {units[what]:8}  " \
               f"{ours[what]:9.4g}"
        for others in (theirs, onnx):
            if what not in others: continue
            ratio = (ours[what] / others[what]) ** (1 if more_is_better else -1)
            line += f"  {others[what]:12.4g}  {ratio:5.2f}"
        print(line, flush=True)

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", choices=list(SETS))
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--keep", action="store_true", help="leave models and weights in build/")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work: return work(options.part, options.threads)
    try:
        import torch
    except ImportError:
        sys.exit("networks.py: this Python has no torch to compare with "
                 "(Debian: apt-get install python3-torch, and run it with /usr/bin/python3)")
    if not os.path.exists("build/networks"):
        sys.exit("networks.py: there is no build/networks here: make build/networks")
    with open("/proc/cpuinfo") as file: flags = file.read()
    sets = [name for name in SETS if name != "avx512" or "avx512f" in flags]
    runtime, version = start_onnxruntime(options.threads)
    print(f"PyTorch {torch.__version__}, {version}\n\n"
          f"{'part':10}  {'':18}  {'set':6}  {'threads':>7}  {'unit':8}  {'cnnvis':>9}  "
          f"{'PyTorch':>12}  ratio  {'ONNX Runtime':>12}  ratio")
    for instruction_set in sets:
        if options.set not in (None, instruction_set): continue
        for part in [options.part] if options.part else PARTS:
            takes_part = runtime and part in NETWORKS and instruction_set == sets[0]
            if takes_part: load_model(torch, runtime, part)
            compare(part, instruction_set, options.threads, runtime if takes_part else None)
            if takes_part: expect_ready(runtime, "forget")
    if runtime: runtime.communicate()
    for file in [f"build/{name}.{kind}" for name in PARTS for kind in ("safetensors", "onnx")]:
        if os.path.exists(file) and not options.keep: os.remove(file)

if __name__ == "__main__":
    main()
