/* Proves that photos come to the networks as torchvision prepares them, that class names find their
   numbers, that weight files under other names load, and that the model of examples/custom.c is the
   toynet. */
#define EXAMPLE_NO_MAIN
#include "../examples/custom.c"
#include "check.h"

/* ---- Photos: beside torchvision 0.14.1, from a pattern that both can write down ----

   pic = torch.tensor([[[(x*7 + y*13 + x*y*3 + c*50) % 101 / 100 for x in range(w)]
                        for y in range(h)] for c in range(3)])
   y = center_crop(resize(pic, resize, antialias=True), crop)

   Cubics: beside PIL 9.4. What overshoots is cut off after each direction, as PIL does for bytes.

   y = asarray(fromarray(pic[c], "F").resize((W, h), BICUBIC)).clip(0, 1); then to (W, H) */

typedef struct {
    int h, w, resize, cubic, crop;
    double pixel[6], mean; /* at the places below; of all */
} prepared;

static void draw_pattern(cnv_tensor *picture, int h, int w)
{
    int c, y, x;
    CHECK(cnv_tensor_resize(picture, 1, 3, h, w), "%s", cnv_error());
    for (c = 0; c < 3; c++)
        for (y = 0; y < h; y++)
            for (x = 0; x < w; x++)
                picture->data[(c * h + y) * w + x] =
                    (float)((x * 7 + y * 13 + x * y * 3 + c * 50) % 101) / 100;
}

static void test_photos(void)
{
    static const prepared cases[6] = {
        {37, 53, 24, 0, 16, {0.464599, 0.604952, 0.52834, 0.645586, 0.527759, 0.259565}, 0.503162},
        {61, 40, 16, 0, 13, {0.478279, 0.403245, 0.462086, 0.56798, 0.523451, 0.530463}, 0.501885},
        {9, 12, 20, 0, 18, {0.141413, 0.572298, 0.507096, 0.554635, 0.656779, 0.496404}, 0.475933},
        {37, 53, 24, 1, 16, {0.438744, 0.619295, 0.526827, 0.695377, 0.53701, 0.20155}, 0.502875},
        {61, 40, 16, 1, 13, {0.451848, 0.369276, 0.45526, 0.593989, 0.513385, 0.522695}, 0.502099},
        {9, 12, 20, 1, 18, {0.129703, 0.625933, 0.479195, 0.60143, 0.691396, 0.510031}, 0.476272},
    };
    cnv_tensor picture = {0}, square = {0};
    int i, k;
    for (i = 0; i < 6; i++) {
        const prepared *p = &cases[i];
        int last = p->crop - 1, half = p->crop / 2;
        int places[6][3] = {{0}, {0, 5, 7}, {1, 0, 0}, {1, 3, 0}, {2, 0, 0}, {2, 0, 0}};
        model m = {"any", NULL, 0, 0, 0, 1000, "", NULL};
        double mean = 0;
        places[2][1] = places[3][2] = places[5][1] = places[5][2] = last;
        places[4][1] = places[4][2] = half;
        m.side = p->crop, m.resize = p->resize, m.cubic = p->cubic;
        draw_pattern(&picture, p->h, p->w);
        CHECK(photo_square(&picture, &m, m.side, &square), "%s", cnv_error());
        for (k = 0; k < 3 * p->crop * p->crop; k++)
            mean += (double)square.data[k] / (3 * p->crop * p->crop);
        CHECK(fabs(mean - p->mean) < 2e-6, "%d x %d: mean %f, not %f", p->h, p->w, mean, p->mean);
        for (k = 0; k < 6; k++) {
            double v = (double)square.data[(places[k][0] * p->crop + places[k][1]) * p->crop +
                                           places[k][2]];
            CHECK(fabs(v - p->pixel[k]) < 2e-6, "%d x %d, place %d: %f, not %f", p->h, p->w, k, v,
                  p->pixel[k]);
        }
    }
    cnv_tensor_free(&picture), cnv_tensor_free(&square);
}

/* A constant stays what it is; a gray picture becomes three channels; Keras squeezes all of it. */
static void test_simple_photos(void)
{
    cnv_tensor picture = {0}, square = {0};
    model m = {"any", NULL, 12, 0, 0, 1000, "", NULL};
    int i;
    CHECK(cnv_tensor_resize(&picture, 1, 1, 31, 77), "%s", cnv_error());
    for (i = 0; i < 31 * 77; i++) picture.data[i] = (float)(i % 77) / 76;
    CHECK(photo_square(&picture, &m, 12, &square), "%s", cnv_error());
    CHECK(square.c == 3 && square.h == 12 && square.data[0] < 0.06f && square.data[11] > 0.94f,
          "squeezed: from %g to %g", (double)square.data[0], (double)square.data[11]);
    m.resize = 12;
    CHECK(photo_square(&picture, &m, 12, &square), "%s", cnv_error());
    CHECK(square.data[0] > 0.25f && square.data[11] < 0.75f, "the middle: from %g to %g",
          (double)square.data[0], (double)square.data[11]);
    cnv_tensor_fill(&picture, 0.25);
    CHECK(photo_square(&picture, &m, 24, &square) && square.h == 24, "%s", cnv_error());
    for (i = 0; i < 3 * 24 * 24; i++)
        CHECK(fabsf(square.data[i] - 0.25f) < 1e-6f, "%g", (double)square.data[i]);
    cnv_tensor_free(&picture), cnv_tensor_free(&square);
}

/* ---- Names ---- */

static void fits(const example *e, const char *text, int count, int first)
{
    char found[400];
    int which, n = example_fitting(e, text, &which, found, sizeof found);
    CHECK(n == count && which == first, "\"%s\": %d, first %d (%s)", text, n, which, found);
    if (n == 1) CHECK(example_class(e, text) == first, "\"%s\"", text);
}

static void test_class_names(void)
{
    example e;
    cnv_safetensors *empty = cnv_safetensors_parse("\2\0\0\0\0\0\0\0{}", 10);
    CHECK(empty != NULL, "%s", cnv_error());
    memset(&e, 0, sizeof e);
    e.program = "photos", e.file = empty, e.model = model_find("alexnet");
    example_class_names(&e);
    CHECK(e.classes == 1000 && !strcmp(e.class_names[0], "tench") &&
              !strcmp(e.class_names[999], "toilet tissue"), "%s", e.class_names[999]);
    fits(&e, "tabby", 1, 281), fits(&e, "Tabby", 1, 281), fits(&e, "tab", 4, 281);
    fits(&e, "egyptian", 1, 285), fits(&e, "Siamese cat", 1, 284), fits(&e, "ostr", 1, 9);
    fits(&e, "tiger", 1, 292);                                 /* not tiger cat: it is all of it */
    fits(&e, "cardigan", 1, 474), fits(&e, "Cardigan", 1, 264); /* a jacket; a dog */
    fits(&e, "labrador", 1, 208), fits(&e, "abby", 0, -1), fits(&e, "", 0, -1);
    CHECK(example_class(&e, "7") == 7, "a number");
    fits(&e, "retriever", 5, 205);
    e.model = model_find("cats_vs_dogs");
    example_class_names(&e);
    CHECK(e.classes == 2 && !strcmp(e.class_names[1], "dog"), "%s", e.class_names[1]);
    e.model = model_find("toynet");
    example_class_names(&e);
    CHECK(e.classes == 12 && !strcmp(e.class_names[11], "class 11"), "%s", e.class_names[11]);
    cnv_safetensors_close(empty);
}

/* ---- Weights ---- */

/* Every layer's name begins with `alias` in place of `layer`; all must be found again. */
static void test_other_names(const char *layer, const char *alias)
{
    const char *path = "build/photos_test.safetensors";
    cnv_net *net = cnv_net_new(), *other = cnv_net_new();
    int i, renamed = 0, same = 1;
    CHECK(net && other && model_smallnet(net, 12) >= 0 && model_smallnet(other, 12) >= 0 &&
              cnv_init(net, 1) && cnv_init(other, 2), "%s", cnv_error());
    for (i = 0; i < net->param_count; i++) {
        char name[CNV_NAME_SIZE];
        if (strncmp(net->params[i].name, layer, strlen(layer))) continue;
        snprintf(name, sizeof name, "%s%.40s", alias, net->params[i].name + strlen(layer));
        strcpy(net->params[i].name, name), renamed++;
    }
    CHECK(renamed && cnv_save(net, path, NULL), "%s", cnv_error());
    CHECK(model_load(other, path) == !strcmp(alias, "module."), "from \"%s\" to \"%s\": %s", layer,
          alias, cnv_error());
    for (i = 0; i < net->param_count; i++)
        same = same && net->params[i].value.data[0] == other->params[i].value.data[0];
    CHECK(same == !strcmp(alias, "module."), "weights of \"%s\"", alias);
    cnv_net_free(net), cnv_net_free(other);
    remove(path);
}

/* What custom.c describes is the toynet, to the last bit. */
static void test_custom(void)
{
    const char *weights = example_data("toynet.safetensors");
    cnv_net *own = cnv_net_new(), *toynet = cnv_net_new();
    cnv_tensor image = {0};
    int i, ok = own && toynet && custom_net(own, 12) >= 0 && model_toynet(toynet, 12) >= 0 &&
                cnv_load(own, weights) && cnv_load(toynet, weights);
    draw_pattern(&image, 64, 64);
    CHECK(ok && cnv_forward(own, &image, CNV_ALL) && cnv_forward(toynet, &image, CNV_ALL), "%s",
          cnv_error());
    for (i = 0; ok && i < 12; i++)
        CHECK(own->nodes[own->count - 1].out.data[i] ==
                  toynet->nodes[toynet->count - 1].out.data[i], "logit %d", i);
    cnv_net_free(own), cnv_net_free(toynet), cnv_tensor_free(&image);
}

/* ---- Networks of gray pictures ---- */

/* As those for MNIST are. */
static int gray_net(cnv_net *net, int classes)
{
    static const double mean[1] = {0.1307}, std[1] = {0.3081};
    int x = cnv_normalize(net, cnv_input(net, 1), mean, std);
    x = cnv_max_pool(net, cnv_relu(net, cnv_conv2d(net, x, "conv1", 6, 5, 1, 2)), 2, 2, 0);
    return cnv_linear(net, x, "fc", 6 * 14 * 14, classes);
}

/* Without a convolution. */
static int gray_layers(cnv_net *net, int classes)
{
    int x = cnv_relu(net, cnv_linear(net, cnv_input(net, 1), "fc1", 28 * 28, 20));
    return cnv_linear(net, x, "fc2", 20, classes);
}

/* d(class 3) / d(pixels) */
static const cnv_tensor *gray_slope(cnv_net *net, const cnv_tensor *image)
{
    cnv_tensor *seed = cnv_forward(net, image, CNV_ALL) ? cnv_seed(net, net->count - 1) : NULL;
    if (seed) seed->data[3] = 1;
    CHECK(seed && cnv_backward(net, 0), "%s", cnv_error());
    return &net->nodes[0].grad;
}

/* Of the gray version of a picture in colours, the examples' network says what the network itself
   does, and its gradient has that network's for its sum over the colours. */
static void test_gray_network(int (*build)(cnv_net *, int))
{
    static char name[] = "photos", option[] = "--weights", path[] = "build/photos_test.safetensors";
    char *arguments[3] = {name, option, path};
    model m = {"gray", NULL, 28, 28, 0, 10, "conv1", NULL};
    example e = {0};
    cnv_net *net = cnv_net_new(), *untrained;
    cnv_tensor picture = {0}, one;
    const cnv_tensor *wide, *slope;
    int i, k;
    m.build = build;
    CHECK(build(net, 10) >= 0 && cnv_init(net, 3) && cnv_save(net, path, NULL), "%s", cnv_error());
    e.program = name, e.argc = 3, e.argv = arguments;
    example_network(&e, &m, NULL), untrained = example_untrained(&e);
    draw_pattern(&picture, 28, 28);
    CHECK(e.gray && example_square(&e, &picture, 28, &e.image), "%s", cnv_error());
    one = cnv_tensor_channel(&e.image, 0, 0);
    wide = gray_slope(e.net, &e.image), slope = gray_slope(net, &one);
    for (i = 0; i < 10; i++)
        CHECK(fabsf(e.net->nodes[e.logits].out.data[i] - net->nodes[e.logits].out.data[i]) < 1e-4f,
              "logit %d", i);
    for (i = 0; i < 28 * 28; i++) {
        const float *x = e.image.data + i, *colour = picture.data + i, *g = wide->data + i;
        float sum = 0, luma = 0.299f * colour[0] + 0.587f * colour[784] + 0.114f * colour[1568];
        for (k = 0; k < 3; k++) {
            sum += g[k * 784];
            CHECK(fabsf(x[k * 784] - luma) < 1e-5f, "pixel %d", i);
        }
        CHECK(fabsf(sum - slope->data[i]) < 1e-4f, "%d: %g, not %g", i, (double)sum,
              (double)slope->data[i]);
    }
    slope = gray_slope(untrained, &e.image);
    for (i = 0; i < 28 * 28; i++)
        CHECK(fabsf(slope->data[i] - slope->data[i + 784]) < 1e-5f &&
                  fabsf(slope->data[i] - slope->data[i + 1568]) < 1e-5f, "the control: colours");
    cnv_net_free(untrained), cnv_net_free(net), cnv_tensor_free(&picture), example_end(&e);
    remove(path);
}

/* Two convolutions read the pixels: nothing is changed. */
static void test_two_readers(void)
{
    cnv_net *net = cnv_net_new();
    int x = cnv_input(net, 1), a = cnv_conv2d(net, x, "a", 2, 3, 1, 1);
    x = cnv_add(net, a, cnv_conv2d(net, x, "b", 2, 3, 1, 1));
    CHECK(x >= 0 && !example_widen(net) && net->nodes[0].channels == 1 &&
              net->params[0].value.c == 1, "it was changed");
    cnv_net_free(net);
}

/* ---- Captions ---- */

/* How far the ink on a white canvas reaches: to the right, and in height. */
static void ink(const cnv_tensor *canvas, int *right, int *height)
{
    int x, y, top = canvas->h, bottom = 0;
    *right = 0;
    for (y = 0; y < canvas->h; y++)
        for (x = 0; x < canvas->w; x++)
            if (canvas->data[y * canvas->w + x] < 0.7f) {
                *right = x > *right ? x : *right;
                top = y < top ? y : top, bottom = y > bottom ? y : bottom;
            }
    *height = bottom - top + 1;
}

/* A long name of a class is cut rather than too small to read, and a short one is left alone. */
static void test_captions(void)
{
    static const char *const names[3] = {"tabby", "chambered nautilus", "tench"};
    int i, right, height, least, full;
    cnv_tensor canvas = {0};
    for (i = 0; i < 3; i++) {
        CHECK(cnv_canvas(&canvas, 40, 200, panel_white), "%s", cnv_error());
        cnv_text(&canvas, 10, 10, PANEL_LEAST, panel_black, names[i]);
        ink(&canvas, &right, &least);
        CHECK(cnv_canvas(&canvas, 40, 200, panel_white), "%s", cnv_error());
        cnv_text(&canvas, 10, 10, 11, panel_black, names[i]);
        ink(&canvas, &right, &full);
        CHECK(cnv_canvas(&canvas, 40, 200, panel_white), "%s", cnv_error());
        panel_within(&canvas, 78, 10, 10, 11, panel_black, names[i]);
        ink(&canvas, &right, &height);
        CHECK(right > 20 && right <= 10 + 78 + 1, "%s: up to %d", names[i], right);
        CHECK(height == (i == 1 ? least : full), "%s: %d high", names[i], height);
    }
    cnv_tensor_free(&canvas);
}

static void test_counts(void)
{
    const char *one = example_count(1, "picture"), *none = example_count(0, "picture");
    CHECK(!strcmp(one, "1 picture"), "%s", one);
    CHECK(!strcmp(none, "0 pictures"), "%s", none);
}

int main(void)
{
    test_counts(), test_captions();
    test_gray_network(gray_net), test_gray_network(gray_layers), test_two_readers();
    test_photos();
    test_simple_photos();
    test_class_names();
    test_other_names("", "module.");
    test_other_names("conv1", "somewhere");
    test_custom();
    (void)custom_model;
    return check_report();
}
