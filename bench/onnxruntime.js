/* ONNX Runtime beside cnnvis: a peer that bench.c starts; conversation.h says what is asked of it.
   https://onnxruntime.ai

       npm install --ignore-scripts --prefix build/peers onnxruntime-node     (Node.js 20 or newer)

   Its library for the CPU lies in that package. It runs models, not operations, and only forwards:
   `prepare` makes a model of one convolution, or refuses. Weights are constants of the model, which
   it rearranges once; images come and go as NCHW, and are rearranged within each call if it wants
   them otherwise; the layout own is the same. JavaScript gets outputs copied into new memory, which
   can take longer than the convolution: so the model has another output of one number, cut out of
   the result, and calls that are timed ask for this alone. To call from JavaScript costs some 15
   microseconds, which are inside the time. Threads are those of OMP_NUM_THREADS. No variable holds
   the library to an instruction set: it takes the widest that the CPU has.
   For networks.py it also runs whole networks, an instruction that no other peer knows:
       load build/alexnet.onnx      a model with one input and one output      -> ready
   How long each node of a model takes, in a file build/nodes_...json:
       printf 'load build/alexnet.onnx\nrun forward nchw wall 40 1\n' | \
           ONNXRUNTIME_PROFILE=build/nodes node bench/onnxruntime.js */
'use strict';
let ort;
try {
    ort = require('module').createRequire(process.cwd() + '/build/peers/')('onnxruntime-node');
} catch {
    process.exit(1); // bench.c says how to install it
}
const SEEDS = {x: 1, weights: 3, bias: 4}, PERIOD = (1 << 20) + 1;
const threads = Number(process.env.OMP_NUM_THREADS || 1);
const profile = process.env.ONNXRUNTIME_PROFILE;
const count = shape => shape.reduce((product, size) => product * size, 1);

/* The numbers of numbers.h: splitmix64, uniform in [-0.5, 0.5). */
function randomNumbers(seed, size) {
    const numbers = new Float32Array(size), wrap = z => BigInt.asUintN(64, z);
    let state = BigInt(seed);
    for (let i = 0; i < Math.min(size, PERIOD); i++) {
        let z = state = wrap(state + 0x9E3779B97F4A7C15n);
        z = wrap((z ^ z >> 30n) * 0xBF58476D1CE4E5B9n);
        z = wrap((z ^ z >> 27n) * 0x94D049BB133111EBn);
        z ^= z >> 31n;
        numbers[i] = Number(z >> 40n) / (1 << 24) - 0.5;
    }
    for (let filled = PERIOD; filled < size; filled *= 2) numbers.copyWithin(filled, 0, filled);
    return numbers;
}

/* ---- A model of one convolution, as a file would hold it: in protobuf ----

   A message is a sequence of fields. Each begins with 8 * its number + its type: 0, an integer, 7
   bits in a byte, the lowest first; or 2, a length and as many bytes, a text, numbers or another
   message. The numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */

function varint(n) {
    const bytes = [];
    for (; n > 127; n = Math.floor(n / 128)) bytes.push(128 + n % 128);
    return Buffer.from([...bytes, n]);
}

const integer = (field, n) => Buffer.concat([varint(8 * field), varint(n)]);

function message(field, ...parts) {
    const content = Buffer.concat(parts);
    return Buffer.concat([varint(8 * field + 2), varint(content.length), content]);
}

const text = (field, string) => message(field, Buffer.from(string));

/* Of a node: whole numbers, which are of type 7. */
function attribute(name, ...values) {
    return message(5, text(1, name), ...values.map(value => integer(8, value)), integer(20, 7));
}

function node(type, inputs, output, ...attributes) {
    return message(1, ...inputs.map(name => text(1, name)), text(2, output), text(4, type),
        ...attributes);
}

/* What comes into a graph (11) or out of it (12): floats, which are of type 1, in that shape. */
function port(field, name, shape) {
    const sizes = message(2, ...shape.map(size => message(1, integer(1, size))));
    return message(field, text(1, name), message(2, message(1, integer(1, 1), sizes)));
}

function constant(name, shape) {
    const numbers = Buffer.from(randomNumbers(SEEDS[name], count(shape)).buffer);
    return message(5, ...shape.map(size => integer(1, size)), integer(2, 1), text(8, name),
        message(9, numbers));
}

function makeModel(n, c, h, w, k, r, stride, pad) {
    const p = Math.floor((h + 2 * pad - r) / stride) + 1;
    const q = Math.floor((w + 2 * pad - r) / stride) + 1;
    const conv = node('Conv', ['x', 'weights', 'bias'], 'y', attribute('kernel_shape', r, r),
        attribute('strides', stride, stride), attribute('pads', pad, pad, pad, pad));
    const cut = node('Slice', ['y'], 'first', attribute('starts', 0, 0, 0, 0),
        attribute('ends', 1, 1, 1, 1));
    const graph = message(7, conv, cut, text(2, 'convolution'), constant('weights', [k, c, r, r]),
        constant('bias', [k]), port(11, 'x', [n, c, h, w]), port(12, 'y', [n, k, p, q]),
        port(12, 'first', [1, 1, 1, 1]));
    return Buffer.concat([integer(1, 8), graph, message(8, integer(2, 9))]); /* operators of 1.4 */
}

/* ---- The peer ---- */

let session, images; // of the model that is prepared

async function forget() {
    if (!session) return;
    if (profile) session.endProfiling();
    await session.release();
    session = null;
}

/* The model is a file or its bytes. */
async function prepare(model) {
    await forget();
    session = await ort.InferenceSession.create(model, {
        intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential',
        graphOptimizationLevel: 'all', enableProfiling: !!profile, profileFilePrefix: profile || '',
    });
    const [{name, shape}] = session.inputMetadata;
    images = {[name]: new ort.Tensor('float32', randomNumbers(SEEDS.x, count(shape)), shape)};
}

async function getOutput() {
    const [name] = session.outputNames, results = await session.run(images, [name]);
    return Buffer.from(results[name].data.buffer);
}

const clocks = { // in seconds
    wall: () => performance.now() / 1e3,
    cpu: () => {
        const {user, system} = process.cpuUsage();
        return (user + system) / 1e6;
    },
};

/* The seconds of up to that many calls, at least one, in about that much time. */
async function runCalls(clock, calls, length) {
    const seconds = [], last = session.outputNames.slice(-1), start = clock();
    let before, after = start;
    while (!seconds.length || (seconds.length < calls && after - start < length)) {
        before = clock();
        await session.run(images, last);
        after = clock();
        seconds.push((after - before).toFixed(9));
    }
    return seconds.join(' ') + '\n';
}

async function answer(line) {
    const [word, ...rest] = line.split(' ');
    if (word === 'prepare') {
        const [operation, ...shape] = rest;
        if (operation !== 'forward') return 'refused\n';
        await prepare(makeModel(...shape.map(Number)));
    } else if (word === 'load') await prepare(rest[0]);
    else if (word === 'output') return getOutput();
    else if (word === 'run') return runCalls(clocks[rest[2]], Number(rest[3]), Number(rest[4]));
    else if (word === 'forget') await forget();
    else throw Error(`"${line}" is not understood`);
    return 'ready\n';
}

async function main() {
    const lines = require('readline').createInterface({input: process.stdin});
    process.stdout.write(`ONNX Runtime ${ort.env.versions.node}\n`);
    for await (const line of lines) process.stdout.write(await answer(line));
    await forget();
}

main();
