/* Proves that the networks of examples/models.h are the published ones: all parameters have the
   names and the shapes of torchvision's files (Xception: timm's), and images of the published size
   become logits by way of maps of the papers' sizes. With random weights, both ways give finite
   numbers, and the pixels' gradient foretells how the logits change. tests/parity compares the
   numbers with PyTorch's. */
#include "memory.h"

#define CNNVIS_STATIC
#define CNNVIS_IMPLEMENTATION
#include "../examples/models.h"

#include "check.h"

/* ---- Names and shapes ---- */

/* FNV-1a of a text, from the one before. */
static uint64_t fingerprint(uint64_t hash, const char *text)
{
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

/* "conv1.weight 64x3x7x7", as printed by
   `for k, v in model.state_dict().items(): print(k, "x".join(map(str, v.shape)))` */
static uint64_t param_fingerprint(const cnv_param *param)
{
    const cnv_tensor *t = &param->value;
    char text[CNV_NAME_SIZE + 64];
    size_t length = (size_t)snprintf(text, sizeof text, "%s %d", param->name,
                                     param->rank == 1 ? t->c : t->n);
    if (param->rank > 1)
        length += (size_t)snprintf(text + length, sizeof text - length, "x%d", t->c);
    if (param->rank > 2) snprintf(text + length, sizeof text - length, "x%dx%d", t->h, t->w);
    return fingerprint(0xcbf29ce484222325u, text);
}

typedef struct {
    const char *name;
    int params;             /* in torchvision's file, but for num_batches_tracked and side heads */
    size_t numbers;         /* in all of them */
    uint64_t sum;           /* of their fingerprints, so that their order does not matter */
    const char *last;       /* the node that the classifier reads, pooled */
    int channels, side;     /* its output for images of the size it was made for */
    int least;              /* a small image that will do */
    int resize, cubic;      /* photos: to this shorter side (0: squeezed), by bicubic interpolation:
                               torchvision's IMAGENET1K_V1 (resnet50: V2) and timm's settings */
} published;

static void check_parameters(const cnv_net *net, const published *p)
{
    size_t numbers = 0;
    uint64_t sum = 0;
    int i;
    for (i = 0; i < net->param_count; i++) {
        numbers += cnv_tensor_size(&net->params[i].value);
        sum += param_fingerprint(&net->params[i]);
    }
    CHECK(net->param_count == p->params, "%s: %d parameters, should be %d", p->name,
          net->param_count, p->params);
    CHECK(numbers == p->numbers, "%s: %lu numbers, should be %lu", p->name, (unsigned long)numbers,
          (unsigned long)p->numbers);
    CHECK(sum == p->sum, "%s: other names or shapes than published", p->name);
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
        double gain = value->c == 1 ? 3 : 6; /* no ReLU follows those of one channel, in Xception */
        float scale = (float)sqrt(gain * value->n / (double)cnv_tensor_size(value));
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
    CHECK(found->resize == p->resize && found->cubic == p->cubic, "%s: photos of %d, cubic %d",
          p->name, found->resize, found->cubic);
    check_parameters(net, p);
    draw_weights(net);
    draw_image(&image, found->side);
    CHECK(cnv_forward(net, &image, CNV_ALL), "%s: %s", p->name, cnv_error());
    CHECK(net->nodes[last].out.c == p->channels && net->nodes[last].out.h == p->side &&
              net->nodes[last].out.w == p->side, "%s: %d x %d x %d at %s", p->name,
          net->nodes[last].out.c, net->nodes[last].out.h, net->nodes[last].out.w, p->last);
    CHECK((int)cnv_tensor_size(&net->nodes[logits].out) == found->classes, "%s: %d logits", p->name,
          net->nodes[logits].out.c);
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
        {"alexnet", 16, 61100840, 0xc7979e80471711f3u, "pool3", 256, 6, 63, 256, 0},
        {"vgg16", 32, 138357544, 0xb93def74f3d55ed7u, "pool5", 512, 7, 32, 256, 0},
        {"vgg16_bn", 84, 138374440, 0xd0b9cfe45490a2d6u, "pool5", 512, 7, 32, 256, 0},
        {"vgg19", 38, 143667240, 0x556824a944bee9fbu, "pool5", 512, 7, 32, 256, 0},
        {"vgg19_bn", 102, 143689256, 0xf2f582ba6d8d6537u, "pool5", 512, 7, 32, 256, 0},
        {"googlenet", 287, 6639464, 0xdd6e42239ff5feefu, "inception5b", 1024, 7, 64, 256, 0},
        {"inception_v3", 472, 23869000, 0x4e13ece4d8bbbb40u, "Mixed_7c", 2048, 8, 75, 342, 0},
        {"resnet18", 102, 11699112, 0x59ab6d1cc7410e99u, "layer4.1", 512, 7, 32, 256, 0},
        {"resnet50", 267, 25610152, 0xe16d55b34f8dbb69u, "layer4.2", 2048, 7, 32, 232, 0},
        {"xception", 236, 22910480, 0x0f2e55ed555cb93au, "conv4.pointwise", 2048, 10, 71, 333, 1},
        {"xception_keras", 236, 22910480, 0x0f2e55ed555cb93au,
         "conv4.pointwise", 2048, 10, 71, 0, 0},
        {"cats_vs_dogs", 12, 1003586, 0x79d47f54d3044b6au, "conv2d_4", 256, 7, 180, 0, 0},
    };
    int i;
    for (i = 0; i < (int)(sizeof networks / sizeof *networks); i++) check_network(&networks[i]);
    CHECK(memory_live == 0, "%ld blocks were never freed", memory_live);
    return check_report();
}
