#!/usr/bin/env python3
"""Compares cnnvis with PyTorch, network by network: `make parity`, or

    cc -O2 -fopenmp tests/parity/parity.c -o build/parity -lm
    /usr/bin/python3 tests/parity/parity.py [--quick] [--net resnet18 ...] [--seeds 3]

For each network and seed, PyTorch (in double precision) draws random weights, saves them as users
save theirs, and computes logits, inner activations, the gradient and guided backprop at the pixels,
Grad-CAM, integrated gradients and a step of DeepDream; build/parity loads the weights, computes the
same and prints the greatest error of each over the greatest magnitude: all must be <= 1e-4.
Then logits, inner activations and Grad-CAM once more for an image of full size, but
with --quick. The last line is "N passed, N failed". Nothing is downloaded. Debian:
apt-get install python3-torch python3-torchvision."""
import argparse, json, math, os, subprocess, sys, tempfile, warnings

try:
    import torch, torchvision
    from torch import nn
    import torch.nn.functional as F
except ImportError as missing:
    sys.exit(f"parity.py: {missing}: there is nothing to compare with. Debian: apt-get install "
             "python3-torch python3-torchvision, and run this with /usr/bin/python3")

# ---- Networks that torchvision does not have ----

class Separable(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, filters, 1, bias=False)

    def forward(self, x): return self.pointwise(self.conv1(x))

class SamePool(nn.Module):
    """Max pooling 3 x 3 of stride 2 with TensorFlow's padding "same"."""
    def forward(self, x):
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((math.ceil(size / 2) - 1) * 2 + 3 - size, 0)
            pads += [total // 2, total - total // 2]
        return F.max_pool2d(heir(F.pad(x, pads, value=-math.inf), x), 3, 2)

class XceptionBlock(nn.Module):
    def __init__(self, channels, filters, count, stride, eps, same, relu_first=True, late=False):
        super().__init__()
        layers, inner = [], channels if late else filters
        for i in range(count):
            if relu_first or i: layers.append(nn.ReLU())
            layers += [Separable(inner if i else channels, filters if i == count - 1 else inner),
                       nn.BatchNorm2d(filters if i == count - 1 else inner, eps)]
        if stride > 1: layers.append(SamePool() if same else nn.MaxPool2d(3, 2, 1))
        self.skip = None
        if stride > 1:
            self.skip = nn.Conv2d(channels, filters, 1, 2, bias=False)
            self.skipbn = nn.BatchNorm2d(filters, eps)
        self.rep = nn.Sequential(*layers)

    def forward(self, x): return self.rep(x) + (self.skipbn(self.skip(x)) if self.skip else x)

class Xception(nn.Module):
    def __init__(self, eps=1e-5, same=False):
        super().__init__()
        kind = dict(eps=eps, same=same)
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, eps)
        self.conv2, self.bn2 = nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64, eps)
        self.block1 = XceptionBlock(64, 128, 2, 2, relu_first=False, **kind)
        self.block2 = XceptionBlock(128, 256, 2, 2, **kind)
        self.block3 = XceptionBlock(256, 728, 2, 2, **kind)
        for i in range(4, 12): setattr(self, f"block{i}", XceptionBlock(728, 728, 3, 1, **kind))
        self.block12 = XceptionBlock(728, 1024, 2, 2, late=True, **kind)
        self.conv3, self.bn3 = Separable(1024, 1536), nn.BatchNorm2d(1536, eps)
        self.conv4, self.bn4 = Separable(1536, 2048), nn.BatchNorm2d(2048, eps)
        self.act4, self.fc = nn.ReLU(), nn.Linear(2048, 1000)

    def forward(self, x):
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        for i in range(1, 13): x = getattr(self, f"block{i}")(x)
        x = self.act4(self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x))))))
        return self.fc(x.mean((2, 3)))

class CatsVsDogs(nn.Module):
    """As Keras has it: channels last where they are flattened, one output."""
    def __init__(self):
        super().__init__()
        channels = 3
        for i, filters in enumerate((32, 64, 128, 256, 256)):
            setattr(self, f"conv2d_{i}" if i else "conv2d", nn.Conv2d(channels, filters, 3))
            channels = filters
        self.act, self.dense = nn.ReLU(), nn.Linear(7 * 7 * 256, 1)

    def forward(self, x):
        for name in ("conv2d", "conv2d_1", "conv2d_2", "conv2d_3"):
            x = F.max_pool2d(F.relu(getattr(self, name)(x)), 2)
        z = self.dense(self.act(self.conv2d_4(x)).permute(0, 2, 3, 1).flatten(1))
        return torch.cat((-z / 2, z / 2), 1)

# ---- The table: how to build it, its mean and standard deviation, the module whose output Grad-CAM
# reads, the one that DeepDream excites, height and width of small images, and the full size ----

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

def torchvision_net(name, **options): return lambda: getattr(torchvision.models, name)(**options)

NETS = {
    "alexnet": (torchvision_net("alexnet"), IMAGENET, "features.11", "features.8", (79, 95), 224),
    "vgg16": (torchvision_net("vgg16", init_weights=False), IMAGENET, "features.29",
              "features.12", (48, 64), 224),
    "vgg16_bn": (torchvision_net("vgg16_bn", init_weights=False), IMAGENET, "features.42",
                 "features.17", (48, 64), 224),
    "vgg19": (torchvision_net("vgg19", init_weights=False), IMAGENET, "features.35",
              "features.12", (48, 64), 224),
    "vgg19_bn": (torchvision_net("vgg19_bn", init_weights=False), IMAGENET, "features.51",
                 "features.17", (48, 64), 224),
    "googlenet": (torchvision_net("googlenet", init_weights=False), HALF, "inception5b",
                  "inception4a", (64, 81), 224),
    "inception_v3": (torchvision_net("inception_v3", init_weights=False), HALF, "Mixed_7c",
                     "Mixed_6a", (91, 107), 299),
    "resnet18": (torchvision_net("resnet18"), IMAGENET, "layer4.1", "layer2.1", (64, 81), 224),
    "resnet50": (torchvision_net("resnet50"), IMAGENET, "layer4.2", "layer2.1", (64, 81), 224),
    "xception": (Xception, HALF, "act4", "block3", (96, 107), 299),
    "xception_keras": (lambda: Xception(1e-3, True), HALF, "act4", "block3", (107, 139), 299),
    "cats_vs_dogs": (CatsVsDogs, ((0,) * 3, (1,) * 3), "act", "conv2d_2", (180, 180), 180),
}

# ---- Files ----

def save(path, tensors, metadata=None):
    """Safetensors: the length of the header, the header as JSON, and the numbers."""
    header, offset = {"__metadata__": metadata} if metadata else {}, 0
    for name, t in tensors.items():
        size = t.numel() * t.element_size()
        header[name] = {"dtype": "I64" if t.dtype == torch.int64 else "F32",
                        "shape": list(t.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values(): file.write(t.contiguous().numpy().tobytes())

def weights_of(name, model, other_names):
    """The state_dict as its users have it: as torchvision names layers, or as others do."""
    weights = {k: v if v.dtype == torch.int64 else v.float() for k, v in model.state_dict().items()}
    if name == "cats_vs_dogs":  # see README.md
        w, b = weights["dense.weight"], weights["dense.bias"]
        w = w.reshape(7, 7, 256).permute(2, 0, 1).reshape(1, -1)
        weights["dense.weight"] = torch.cat((-w / 2, w / 2))
        weights["dense.bias"] = torch.cat((-b / 2, b / 2))
    if other_names and name.startswith("vgg"):  # timm's
        new = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2",
               "classifier.6": "head.fc"}
        for old in [k for k in weights if k.startswith("classifier")]:
            layer, what = old.rsplit(".", 1)
            weights[f"{new[layer]}.{what}"] = weights.pop(old)
        weights["pre_logits.fc1.weight"] = weights["pre_logits.fc1.weight"].view(4096, 512, 7, 7)
        weights["pre_logits.fc2.weight"] = weights["pre_logits.fc2.weight"].view(4096, 4096, 1, 1)
    elif other_names and name.startswith("xception"):
        for what in ("weight", "bias"):
            weights["last_linear." + what] = weights.pop("fc." + what)
    elif other_names and name != "cats_vs_dogs":  # trained on several GPUs
        weights = {"module." + k: v for k, v in weights.items()}
    return weights

# ---- Random weights that keep all layers busy ----

def draw_weights(model, shape):
    for m in model.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(m.weight, 0, math.sqrt(2 / (m.weight[0].numel())))
            if m.bias is not None: nn.init.normal_(m.bias, 0, 0.1)
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.8, 1.2), nn.init.normal_(m.bias, 0, 0.2)
            m.momentum = None  # the plain mean over what it sees
    model.double()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    if norms:  # statistics near those of pictures, but not just those
        model.eval()  # without the classifiers at the side
        for m in norms: m.reset_running_stats(), m.train()
        with torch.no_grad(): model(torch.randn(4, *shape, dtype=torch.float64))
        for m in norms:
            m.running_mean += 0.1 * m.running_var.sqrt() * torch.randn_like(m.running_mean)
            m.running_var *= 0.8 + 0.45 * torch.rand_like(m.running_var)
    model.eval().requires_grad_(False)
    for p in list(model.parameters()) + list(model.buffers()):  # as they will be in the file
        if p.dtype == torch.float64: p.copy_(p.float())

# ---- What PyTorch says ----

class GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(context, g): return g * (context.saved_tensors[0] > 0) * (g > 0)

# Where a ReLU's input is 0 but for rounding, or the two largest numbers of a pooling window are the
# same but for rounding, one gradient is as right as the other. So the networks are settled first,
# for the pictures at hand: each channel's bias is moved a little, to where no number comes near 0;
# and where a window of a channel has a near tie, that channel's filter is moved a little.

class Tie(Exception): pass

class Kinks:
    """mode: "plain", "guided", "settle" while biases and filters are moved, or "above" where that
    waits for the module that Grad-CAM reads: its gradient goes no deeper. margin: how near a near
    tie is, in standard deviations; rounding to single precision makes 1e-6, at places 1e-5."""
    mode, last, weight, margin = "plain", None, None, 2e-5
    relu, pool, cat = staticmethod(F.relu), staticmethod(F.max_pool2d), staticmethod(torch.cat)

    def settle(x):
        numbers = x.transpose(0, 1).flatten(1).sort(1)[0]
        if x.dim() == 2: return Kinks.shift(x, Kinks.step_aside(x, numbers))
        middles, gaps = (numbers[:, 1:] + numbers[:, :-1]) / 2, numbers.diff(dim=1)
        gaps[middles.abs() > 0.3 * numbers.std(1, keepdim=True)] = 0
        if not gaps.numel(): return
        gaps[(numbers[:, :-1] < 0) & (numbers[:, 1:] > 0)] *= 2  # stays rather than wander on
        widest = gaps.argmax(1, keepdim=True)
        Kinks.shift(x, -middles.gather(1, widest)[:, 0] * (gaps.amax(1) > 0))

    def step_aside(x, numbers):
        """For a linear layer, whose units have a number for each picture and no more: a gap between
        them that 0 could move into may be far away, while one of them is 0. So 0 moves to the place
        with most room within 0.3 standard deviations of all units, if that is twice what it has."""
        reach, end = 0.3 * x.std(), torch.full_like(numbers[:, :1], math.inf)
        low, high = Kinks.cat((-end, numbers), 1), Kinks.cat((numbers, end), 1)
        at = ((low + high) / 2).clamp(-reach, reach)
        room, best = torch.minimum(at - low, high - at).max(1, keepdim=True)
        move = room[:, 0] > 2 * numbers.abs().amin(1)
        return -at.gather(1, best)[:, 0] * move

    def shift(x, shift):
        """Moves the bias behind x, which moves with it."""
        before = Kinks.last.bias.clone()
        Kinks.last.bias.copy_((before + shift).float())  # as it will be in the file
        x += (Kinks.last.bias - before).view(-1, *[1] * (x.dim() - 2))   # others read it, too

    def part(x, y, corners):
        """Moves the filters of all channels in which a corner comes near the maximum y."""
        least = y - Kinks.margin * x[x.isfinite()].std()  # padding: -inf
        tied = torch.zeros(y.shape[1], dtype=torch.bool)
        for corner in corners:  # the very same number: it comes from one place, by two ways
            tied |= ((corner >= least) & (corner < y)).transpose(0, 1).flatten(1).any(1)
        for i in tied.nonzero()[:, 0]:
            old = x.filters[i]
            old.copy_((old + 0.01 * old.abs().mean() * torch.randn_like(old)).float())
        if tied.any(): raise Tie

    def relu_of(x, inplace=False):
        if Kinks.mode == "settle": Kinks.settle(x)
        return heir(GuidedReLU.apply(x) if Kinks.mode == "guided" else Kinks.relu(x), x)

    def pool_of(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, **other):
        k, s, p = kernel_size, stride or kernel_size, padding
        y = Kinks.pool(x, k, s, p, dilation, ceil_mode, **other)
        if Kinks.mode == "settle":
            wide = F.pad(x, (p, p + s * ceil_mode) * 2, value=-math.inf)
            Kinks.part(x, y, [wide[:, :, i // k::s, i % k::s][:, :, :y.shape[2], :y.shape[3]]
                              for i in range(k * k)])
        return heir(y, x)

    def cat_of(tensors, dim=0):
        y = Kinks.cat(tensors, dim)
        if dim == 1: y.filters = [f for t in tensors for f in getattr(t, "filters", [])]
        return y

def heir(y, x):
    """y, whose channels come from the same filters as those of x."""
    y.filters = getattr(x, "filters", [])
    return y

def remember(module, inputs, output):
    if not isinstance(module, nn.BatchNorm2d): Kinks.weight = module.weight
    if module.bias is not None: Kinks.last = module
    output.filters = list(Kinks.weight)

class Observed:
    """A model, and what its convolutions and blocks gave out in the last call."""
    def __init__(self, name, model):
        _, (self.mean, self.std), self.cam, self.dream, *_ = NETS[name]
        self.model, self.seen = model, {}
        for m in model.modules():
            if isinstance(m, nn.ReLU): m.inplace = False
        for path, m in model.named_modules():
            block = path.split(".")[-1][:5] in ("incep", "Mixed", "block") or \
                path.startswith("layer") and path.count(".") == 1
            if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear)):
                m.register_forward_hook(remember)
            if isinstance(m, nn.Conv2d) or block or path == self.cam:
                m.register_forward_hook(lambda m, i, out, path=path: self.keep(path, out))

    def keep(self, path, out):
        self.seen[path] = out
        if path == self.cam and Kinks.mode == "above": Kinks.mode = "settle"

    def __call__(self, image):
        mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1)
                     for v in (self.mean, self.std))
        self.seen = {}
        return self.model((image - mean) / std)

    def gradient(self, image, objective):
        """d(objective) / d(image)"""
        image = image.clone().requires_grad_()
        return torch.autograd.grad(objective(self(image)), image)[0]

def draw_image(net, size, steps):
    """A picture, the points on the way to it from black; the network is settled for them."""
    image = (0.1 + 0.8 * torch.rand(1, 3, *size)).double()
    path = torch.cat([image * (k + 0.5) / steps for k in range(steps)] or [image])
    while True:
        Kinks.mode = "settle" if steps else "above"
        try:
            with torch.no_grad(): net(torch.cat((image, path)) if steps else image)
            return image, path
        except Tie: pass  # once more with other filters
        finally: Kinks.mode = "plain"

def ask_torch(name, model, size, steps):
    """steps: of integrated gradients; 0: nothing that leads through all layers back."""
    net = Observed(name, model)
    image, path = draw_image(net, size, steps)
    logits = net(image.clone().requires_grad_())
    answer, maps = int(logits.argmax()), net.seen[net.cam]
    found = {"image": image, "logits": logits}
    inner = [path for path in net.seen if path not in ("act", "act4")]
    for i in range(8): # evenly spread
        at = inner[i * (len(inner) - 1) // 7]
        if at != net.cam or "features" not in at: found["at " + at] = net.seen[at]
    slope = torch.autograd.grad(logits[0, answer], maps)[0]
    found["gradcam"] = F.relu((slope.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True))
    if steps:
        score = lambda logits: logits[:, answer].sum()
        found["gradient"] = net.gradient(image, score)
        Kinks.mode = "guided"
        found["guided"] = net.gradient(image, score)
        Kinks.mode = "plain"
        found["integrated"] = image * net.gradient(path, score).mean(0, keepdim=True)
        g = net.gradient(image, lambda _: (net.seen[net.dream] ** 2).sum() / 2)
        found["dream"] = (image + 1.5 / 255 * g / g.abs().mean()).clamp(0, 1) - image
    return {k: v.detach().float() for k, v in found.items()}, \
        {"class": str(answer), "dream": net.dream, "steps": str(steps)}

# ---- One network, one seed ----

def compare(name, seed, size, steps, folder):
    build = NETS[name][0]
    torch.manual_seed(seed)
    model = build()
    draw_weights(model, (3, *size))
    found, about = ask_torch(name, model, size, steps)
    weights = weights_of(name, model, seed % 2 == 0)
    parameters = sum(not k.startswith(("aux", "Aux")) and v.dtype != torch.int64
                     for k, v in model.state_dict().items())
    about["unused"] = str(len(weights) - parameters)
    files = [os.path.join(folder, f) for f in ("weights.safetensors", "reference.safetensors")]
    save(files[0], weights), save(files[1], found, about)
    del model, weights, found
    result = subprocess.run(["build/parity", name, str(seed), *files], capture_output=True,
                            text=True)
    lines = result.stdout.splitlines()
    print("\n".join(lines[:-1]), result.stderr.strip(), sep="", flush=True)
    if result.returncode not in (0, 1) or not lines: return 0, 1
    good, _, bad, _ = lines[-1].split()
    return int(good), int(bad)

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--net", nargs="*", choices=list(NETS), default=list(NETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small images only")
    options = parser.parse_args()
    if not os.path.exists("build/parity"): sys.exit("parity.py: build/parity is missing")
    warnings.simplefilter("ignore")
    F.relu, F.max_pool2d, torch.cat = Kinks.relu_of, Kinks.pool_of, Kinks.cat_of
    nn.Conv2d.reset_parameters = nn.Linear.reset_parameters = lambda self: None  # drawn later
    passed = failed = 0
    print(f"PyTorch {torch.__version__}, torchvision {torchvision.__version__}\n\n"
          "network         seed   image     logits   inside Grad-CAM gradient   guided  integr.    "
          "dream")
    for name in options.net:
        small, full = NETS[name][4:]
        runs = [(seed, small, 2) for seed in range(1, options.seeds + 1)]
        if not options.quick: runs.append((options.seeds + 1, (full, full), 0))
        for seed, size, steps in runs:
            with tempfile.TemporaryDirectory(dir="build") as folder:
                good, bad = compare(name, seed, size, steps, folder)
            passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return failed > 0

if __name__ == "__main__":
    sys.exit(main())
