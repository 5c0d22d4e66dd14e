/* Proves that the networks of examples/models.h are the published ones: each parameter has the name
   and the shape that torchvision gives it, and images of 224 x 224 become 1000 logits by way of
   maps of the papers' sizes. With random weights, both ways give finite numbers, and the pixels'
   gradient foretells how the logits change. */
#include "memory.h"

#define CNNVIS_IMPLEMENTATION
#include "../examples/models.h"

#include "check.h"

/* ---- What torchvision's state_dict() says of the layers, in its order ----

   "layer KxCxRxS" or "layer OUTxIN" stands for layer.weight and layer.bias, in GoogLeNet for
   layer.conv.weight and the four parameters of layer.bn (its fc excepted). */

static const char alexnet[] =
    "features.0 64x3x11x11 features.3 192x64x5x5 features.6 384x192x3x3 features.8 256x384x3x3 "
    "features.10 256x256x3x3 classifier.1 4096x9216 classifier.4 4096x4096 "
    "classifier.6 1000x4096";

static const char vgg19[] =
    "features.0 64x3x3x3 features.2 64x64x3x3 features.5 128x64x3x3 features.7 128x128x3x3 "
    "features.10 256x128x3x3 features.12 256x256x3x3 features.14 256x256x3x3 "
    "features.16 256x256x3x3 features.19 512x256x3x3 features.21 512x512x3x3 "
    "features.23 512x512x3x3 features.25 512x512x3x3 features.28 512x512x3x3 "
    "features.30 512x512x3x3 features.32 512x512x3x3 features.34 512x512x3x3 "
    "classifier.0 4096x25088 classifier.3 4096x4096 classifier.6 1000x4096";

static const char googlenet[] =
    "conv1 64x3x7x7 conv2 64x64x1x1 conv3 192x64x3x3 inception3a.branch1 64x192x1x1 "
    "inception3a.branch2.0 96x192x1x1 inception3a.branch2.1 128x96x3x3 "
    "inception3a.branch3.0 16x192x1x1 inception3a.branch3.1 32x16x3x3 "
    "inception3a.branch4.1 32x192x1x1 inception3b.branch1 128x256x1x1 "
    "inception3b.branch2.0 128x256x1x1 inception3b.branch2.1 192x128x3x3 "
    "inception3b.branch3.0 32x256x1x1 inception3b.branch3.1 96x32x3x3 "
    "inception3b.branch4.1 64x256x1x1 inception4a.branch1 192x480x1x1 "
    "inception4a.branch2.0 96x480x1x1 inception4a.branch2.1 208x96x3x3 "
    "inception4a.branch3.0 16x480x1x1 inception4a.branch3.1 48x16x3x3 "
    "inception4a.branch4.1 64x480x1x1 inception4b.branch1 160x512x1x1 "
    "inception4b.branch2.0 112x512x1x1 inception4b.branch2.1 224x112x3x3 "
    "inception4b.branch3.0 24x512x1x1 inception4b.branch3.1 64x24x3x3 "
    "inception4b.branch4.1 64x512x1x1 inception4c.branch1 128x512x1x1 "
    "inception4c.branch2.0 128x512x1x1 inception4c.branch2.1 256x128x3x3 "
    "inception4c.branch3.0 24x512x1x1 inception4c.branch3.1 64x24x3x3 "
    "inception4c.branch4.1 64x512x1x1 inception4d.branch1 112x512x1x1 "
    "inception4d.branch2.0 144x512x1x1 inception4d.branch2.1 288x144x3x3 "
    "inception4d.branch3.0 32x512x1x1 inception4d.branch3.1 64x32x3x3 "
    "inception4d.branch4.1 64x512x1x1 inception4e.branch1 256x528x1x1 "
    "inception4e.branch2.0 160x528x1x1 inception4e.branch2.1 320x160x3x3 "
    "inception4e.branch3.0 32x528x1x1 inception4e.branch3.1 128x32x3x3 "
    "inception4e.branch4.1 128x528x1x1 inception5a.branch1 256x832x1x1 "
    "inception5a.branch2.0 160x832x1x1 inception5a.branch2.1 320x160x3x3 "
    "inception5a.branch3.0 32x832x1x1 inception5a.branch3.1 128x32x3x3 "
    "inception5a.branch4.1 128x832x1x1 inception5b.branch1 384x832x1x1 "
    "inception5b.branch2.0 192x832x1x1 inception5b.branch2.1 384x192x3x3 "
    "inception5b.branch3.0 48x832x1x1 inception5b.branch3.1 128x48x3x3 "
    "inception5b.branch4.1 128x832x1x1 fc 1000x1024";

/* ---- Names and shapes ---- */

typedef struct {
    const cnv_net *net;
    int next; /* the parameter that is to be looked at */
} reader;

/* The next parameter is called layer + what, and has this shape. */
static void check_param(reader *r, const char *layer, const char *what, int rank, int n, int c,
                        int h, int w)
{
    const cnv_param *param = r->net->params + r->next;
    char name[2 * CNV_NAME_SIZE];
    snprintf(name, sizeof name, "%s%s", layer, what);
    CHECK(r->next < r->net->param_count, "%s is missing", name);
    if (r->next++ >= r->net->param_count) return;
    CHECK(!strcmp(param->name, name), "%s should be %s", param->name, name);
    CHECK(param->rank == rank && param->value.n == n && param->value.c == c &&
              param->value.h == h && param->value.w == w,
          "%s: rank %d, %d x %d x %d x %d, should be rank %d, %d x %d x %d x %d", name,
          param->rank, param->value.n, param->value.c, param->value.h, param->value.w, rank, n, c,
          h, w);
}

static void check_layer(reader *r, const char *layer, const char *shape, int with_norm)
{
    static const char *const norm[] = {".bn.weight", ".bn.bias", ".bn.running_mean",
                                       ".bn.running_var"};
    int n = 0, c = 0, h = 1, w = 1, i, rank = sscanf(shape, "%dx%dx%dx%d", &n, &c, &h, &w);
    with_norm = with_norm && rank == 4;
    check_param(r, layer, with_norm ? ".conv.weight" : ".weight", rank, n, c, h, w);
    if (!with_norm) check_param(r, layer, ".bias", 1, 1, n, 1, 1);
    for (i = 0; with_norm && i < 4; i++) check_param(r, layer, norm[i], 1, 1, n, 1, 1);
}

static void check_parameters(const cnv_net *net, const char *list, int with_norm)
{
    char layer[CNV_NAME_SIZE], shape[32];
    reader r = {net, 0};
    int length;
    for (; sscanf(list, "%63s %31s%n", layer, shape, &length) == 2; list += length)
        check_layer(&r, layer, shape, with_norm);
    CHECK(r.next > 15 && r.next == net->param_count, "%d parameters, should be %d",
          net->param_count, r.next);
}

/* ---- Numbers ---- */

/* Random weights that keep the numbers' size from layer to layer, as cnv_init draws them; but
   uniform and repeated, since VGG-19 has 144 million. */
static void draw_weights(cnv_net *net)
{
    enum { PERIOD = (1 << 18) + 1 };
    static float numbers[PERIOD];
    cnv_rng rng = cnv_rng_seed(1);
    size_t k, size;
    int i;
    for (k = 0; k < PERIOD; k++) numbers[k] = 2 * (float)cnv_uniform(&rng) - 1;
    for (i = 0; i < net->param_count; i++) {
        cnv_tensor *value = &net->params[i].value;
        float scale = (float)sqrt(6.0 * value->n / (double)cnv_tensor_size(value));
        if (net->params[i].rank == 1) continue; /* biases 0, norms 1 and 0: as they are */
        size = cnv_tensor_size(value);
        for (k = 0; k < size; k++) value->data[k] = scale * numbers[k % PERIOD];
    }
    cnv_weights_changed(net);
}

/* Smooth and bright: no pixel of it matters alone. */
static void draw_image(cnv_tensor *image, int side)
{
    int c, y, x;
    float *pixel;
    CHECK(cnv_tensor_resize(image, 1, 3, side, side), "%s", cnv_error());
    pixel = image->data;
    for (c = 0; c < 3; c++)
        for (y = 0; y < side; y++)
            for (x = 0; x < side; x++)
                *pixel++ = (float)(0.5 + 0.4 * sin(0.1 * x * (c + 1) + 1) * cos(0.13 * y + c));
}

/* The sum over the logits, each times +1 or -1. */
static double objective(const cnv_net *net, int logits)
{
    const cnv_tensor *out = &net->nodes[logits].out;
    double sum = 0;
    int i;
    for (i = 0; i < out->c; i++) sum += (double)out->data[i] * (i % 2 ? 1 : -1);
    return sum;
}

/* The gradient of that at the pixels is finite and not 0. */
static void check_gradient(cnv_net *net, int logits, const cnv_tensor *image)
{
    const cnv_tensor *slope = &net->nodes[0].grad;
    double squares = 0;
    cnv_tensor *seed = cnv_seed(net, logits);
    size_t i;
    int k;
    for (k = 0; seed && k < seed->c; k++) seed->data[k] = k % 2 ? 1 : -1;
    CHECK(seed && cnv_backward(net, 0), "%s", cnv_error());
    CHECK(cnv_tensor_size(slope) == cnv_tensor_size(image), "%d x %d", slope->h, slope->w);
    for (i = 0; i < cnv_tensor_size(slope); i++) squares += (double)slope->data[i] * slope->data[i];
    CHECK(squares > 0 && squares < 1e12, "a gradient of length %g", sqrt(squares));
}

/* A step along the gradient changes the objective as it says, but for a few ReLUs that switch. */
static void check_slope(cnv_net *net, int logits, cnv_tensor *image)
{
    const cnv_tensor *slope = &net->nodes[0].grad;
    double step = 0, squares = 0, low, high;
    size_t i, size = cnv_tensor_size(image);
    int side;
    for (i = 0; i < size; i++) squares += (double)slope->data[i] * slope->data[i];
    step = 3e-5 * sqrt((double)size / squares); /* so much in each pixel, on average */
    for (side = 0, low = high = 0; side < 2; side++) {
        for (i = 0; i < size; i++)
            image->data[i] += (float)((side ? 2 : -1) * step * slope->data[i]);
        CHECK(cnv_forward(net, image, logits), "%s", cnv_error());
        *(side ? &high : &low) = objective(net, logits);
    }
    CHECK(fabs((high - low) / (2 * step * squares) - 1) < 0.03, "slope %g, gradient says %g",
          (high - low) / (2 * step), squares);
}

/* ---- A network ---- */

typedef struct {
    const char *name, *list;
    int with_norm;
    const char *last;       /* the node that the classifier reads, pooled */
    int channels, side;     /* its output for images of 224 x 224 */
    int least;              /* a small image that will do */
} published;

static void check_network(const published *p)
{
    const model *found = model_find(p->name);
    cnv_net *net = cnv_net_new();
    cnv_tensor image = {0};
    int logits, last;
    CHECK(found && net, "no network %s", p->name);
    logits = found->build(net, found->classes), last = cnv_find(net, p->last);
    CHECK(logits == net->count - 1 && last >= 0, "%s: %s", p->name, cnv_error());
    CHECK(cnv_find(net, found->last_conv) >= 0, "%s", cnv_error());
    check_parameters(net, p->list, p->with_norm);
    draw_weights(net);
    draw_image(&image, found->side);
    CHECK(cnv_forward(net, &image, CNV_ALL), "%s: %s", p->name, cnv_error());
    CHECK(net->nodes[last].out.c == p->channels && net->nodes[last].out.h == p->side &&
              net->nodes[last].out.w == p->side, "%s: %d x %d x %d at %s", p->name,
          net->nodes[last].out.c, net->nodes[last].out.h, net->nodes[last].out.w, p->last);
    CHECK(net->nodes[logits].out.c == 1000 && cnv_tensor_size(&net->nodes[logits].out) == 1000,
          "%s: %d logits", p->name, net->nodes[logits].out.c);
    CHECK(fabs(objective(net, logits)) < 1e6, "%s: %g", p->name, objective(net, logits));
    draw_image(&image, p->least);
    CHECK(cnv_forward(net, &image, CNV_ALL), "%s: %s", p->name, cnv_error());
    check_gradient(net, logits, &image);
    check_slope(net, logits, &image);
    cnv_tensor_free(&image);
    cnv_net_free(net);
}

int main(void)
{
    static const published networks[] = {
        {"alexnet", alexnet, 0, "pool3", 256, 6, 63},
        {"vgg19", vgg19, 0, "pool5", 512, 7, 32},
        {"googlenet", googlenet, 1, "inception5b", 1024, 7, 64},
    };
    int i;
    for (i = 0; i < 3; i++) check_network(&networks[i]);
    CHECK(memory_live == 0, "%ld blocks were never freed", memory_live);
    return check_report();
}
