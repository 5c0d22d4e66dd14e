/* Compares a network of examples/models.h with what PyTorch says of it: parity.py writes
   both files.

       build/parity resnet18 1 weights.safetensors reference.safetensors

   Prints for each technique the greatest error over the greatest magnitude; the last line is
   "N passed, N failed". */
#define EXAMPLE_NO_MAIN
#include "../../examples/gradcam.c"
#include "../../examples/integrated_gradients.c"
#include "../check.h"

typedef struct {
    const char *name;
    cnv_net *net;
    int logits, class_id;
    cnv_tensor image;
    cnv_safetensors *reference;
} parity;

static const char *about(const parity *p, const char *key)
{
    const char *text = cnv_safetensors_metadata(p->reference, key);
    return text ? text : "0";
}

/* The tensor `name` of the reference, in shape. */
static int read_reference(const parity *p, const char *name, cnv_tensor *t)
{
    const cnv_safetensor *from = cnv_safetensors_find(p->reference, name);
    size_t s[4] = {1, 1, 1, 1};
    int i;
    for (i = 0; from && i < from->rank && i < 4; i++) s[i] = from->shape[i];
    return from && cnv_tensor_resize(t, (int)s[0], (int)s[1], (int)s[2], (int)s[3]) &&
           cnv_safetensor_read(from, t->data, cnv_tensor_size(t));
}

/* max |t - reference| / max |reference|: at most 1e-4. */
static double compare(const parity *p, const char *name, const cnv_tensor *t)
{
    cnv_tensor reference = {0};
    double error = 0, most = 0;
    size_t i, size = cnv_tensor_size(t);
    int ok = read_reference(p, name, &reference) && cnv_tensor_size(&reference) == size;
    CHECK(ok, "%s: no %s of %d x %d x %d in the reference: %s", p->name, name, t->c, t->h, t->w,
          cnv_error());
    for (i = 0; ok && i < size; i++) {
        error = fmax(error, fabs((double)t->data[i] - (double)reference.data[i]));
        most = fmax(most, fabs((double)reference.data[i]));
        if (t->data[i] != t->data[i]) error = HUGE_VAL;
    }
    CHECK(ok && most > 0 && error <= 1e-4 * most, "%s: %s: error %g, greatest %g", p->name, name,
          error, most);
    cnv_tensor_free(&reference);
    return error / most;
}

/* The worst of all inner nodes: the tensors "at NODE". */
static double compare_inside(const parity *p)
{
    double worst = 0;
    int i, node;
    CHECK(cnv_forward(p->net, &p->image, CNV_ALL), "%s", cnv_error());
    for (i = 0; i < p->reference->count; i++) {
        const char *name = p->reference->tensors[i].name;
        if (strncmp(name, "at ", 3)) continue;
        node = cnv_find(p->net, name + 3);
        CHECK(node >= 0, "%s: %s", p->name, cnv_error());
        if (node >= 0) worst = fmax(worst, compare(p, name, &p->net->nodes[node].out));
    }
    return worst;
}

/* change [1,3,H,W]: what one step of DeepDream without jitter adds to the image. */
static int dream_change(const parity *p, cnv_tensor *change)
{
    int layer = cnv_find(p->net, about(p, "dream"));
    cnv_tensor *seed, *g = &p->net->nodes[0].grad;
    size_t i, size = cnv_tensor_size(&p->image);
    double mean = 0;
    if (layer < 0 || !cnv_forward(p->net, &p->image, layer)) return 0;
    if (!(seed = cnv_seed(p->net, layer))) return 0;
    if (!cnv_tensor_copy(&p->net->nodes[layer].out, seed) || !cnv_backward(p->net, 0)) return 0;
    if (!cnv_tensor_copy(&p->image, change)) return 0;
    for (i = 0; i < size; i++) mean += fabs((double)g->data[i]) / (double)size;
    for (i = 0; i < size; i++) {
        double x = (double)p->image.data[i], y = x + 1.5 / 255 * (double)g->data[i] / mean;
        change->data[i] = (float)((y < 0 ? 0 : y > 1 ? 1 : y) - x);
    }
    return 1;
}

static void load(parity *p, const char *name, const char *weights, const char *reference)
{
    const model *found = model_find(name);
    p->name = name, p->net = cnv_net_new(), p->reference = cnv_safetensors_open(reference);
    CHECK(found && p->net && p->reference, "%s: %s", name, cnv_error());
    if (check_failed) return;
    p->logits = found->build(p->net, found->classes);
    CHECK(p->logits >= 0 && model_load(p->net, weights), "%s: %s", name, cnv_error());
    CHECK(p->net->unused_tensors == atoi(about(p, "unused")), "%s: %d tensors are not used, not %s",
          name, p->net->unused_tensors, about(p, "unused"));
    p->class_id = atoi(about(p, "class"));
    CHECK(read_reference(p, "image", &p->image), "%s", cnv_error());
}

static void print_row(parity *p, const char *seed, int maps)
{
    cnv_tensor t = {0}, black = {0};
    int steps = atoi(about(p, "steps"));
    printf("%-15s %3s  %3d x %3d ", p->name, seed, p->image.h, p->image.w);
    CHECK(cnv_forward(p->net, &p->image, CNV_ALL), "%s", cnv_error());
    printf(" %8.1e", compare(p, "logits", &p->net->nodes[p->logits].out));
    printf(" %8.1e", compare_inside(p));
    CHECK(gradcam(p->net, p->logits, &p->image, p->class_id, &maps, &t), "%s", cnv_error());
    printf(" %8.1e", compare(p, "gradcam", &t));
    if (steps) { /* what leads through all layers */
        CHECK(backprop(p->net, CNV_GRADIENT, p->logits, &p->image, p->class_id, &t), "%s",
              cnv_error());
        printf(" %8.1e", compare(p, "gradient", &t));
        CHECK(backprop(p->net, CNV_GUIDED, p->logits, &p->image, p->class_id, &t), "%s",
              cnv_error());
        printf(" %8.1e", compare(p, "guided", &t));
        CHECK(example_blank(p->net, &p->image, 0, &black) &&
              integrated_gradients(p->net, p->logits, &p->image, &black, p->class_id, steps, &t),
              "%s", cnv_error());
        printf(" %8.1e", compare(p, "integrated", &t));
        CHECK(dream_change(p, &t), "%s", cnv_error());
        printf(" %8.1e", compare(p, "dream", &t));
    }
    printf("\n");
    cnv_tensor_free(&t), cnv_tensor_free(&black);
}

int main(int argc, char **argv)
{
    parity p = {0};
    if (argc != 5) return fprintf(stderr, "parity.py starts this\n"), 2;
    load(&p, argv[1], argv[3], argv[4]);
    if (!check_failed)
        print_row(&p, argv[2],
                  example_feature_maps(p.net, cnv_find(p.net, model_find(argv[1])->last_conv)));
    cnv_net_free(p.net), cnv_safetensors_close(p.reference), cnv_tensor_free(&p.image);
    return check_report();
}
