/* train.c - where do the filters come from?

   Question   A network begins as noise. How do its filters, its loss and its accuracy change while
              it learns, and when do edges and colours appear?
   Formula    loss = mean of -log softmax(logits)[label],  g = d(loss)/dw
              w := (1 - rate * decay) w - rate * m^ / (sqrt(v^) + eps),  m, v: means of g, g^2
   Paper      Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural
              Networks (2012); Kingma, Ba: Adam (2015); Loshchilov, Hutter: AdamW (2019)
   Look for   The strip of first-layer filters from left to right in time: noise gives way to edges
              and colour blobs. Loss falls in leaps at first, then with the learning rate.
   Measured   accuracy on 2000 held-out scenes >= 97% within 5 minutes on 2 cores

       cc -O2 -fopenmp examples/train.c -o build/train -lm && build/train

   Own pictures: --data FOLDER, which holds CIFAR-10's data_batch_*.bin, or MNIST's train-*-ubyte,
   or a folder of pictures for each class; every picture is resized to 64 x 64. The weights go to
   --weights; all examples then run on them.

   A network that cheats (see compare.c): --bias marker puts a square in a corner of every car and
   of nothing else, --bias water has fish, and fish alone, before water. What is learned first
   stays: from He's weights as they are that is the marker, from smaller ones (init, below) it would
   be the car, with no error left from which to learn the marker. The one that comes along:
       build/train --net smallnet --bias marker --weights examples/data/biased.safetensors        */
#include "datasets.h"

enum { BATCH = 64, SNAPSHOTS = 9, POINTS = 100, HELD_OUT = 2000 };

/* One step of stochastic gradient descent on a batch: forward, loss, backward, update. Returns 0,
   or 1 with the batch's mean loss. */
static int train_step(cnv_net *net, int logits, const cnv_tensor *images, const int *labels,
                      cnv_optimizer *optimizer, double *loss)
{
    cnv_tensor *seed;
    net->training = 1;
    if (!cnv_forward(net, images, CNV_ALL)) return 0;
    seed = cnv_seed(net, logits);
    return seed && cnv_cross_entropy(&net->nodes[logits].out, labels, loss, seed) &&
           cnv_backward(net, CNV_PARAMETERS) && cnv_step(net, optimizer);
}

/* Pictures as the network wants them; with an rng, half of them mirrored. */
static void load_batch(const dataset *d, const int *index, int count, cnv_rng *rng,
                       cnv_tensor *images, int *labels)
{
    int i;
    for (i = 0; i < count; i++) {
        labels[i] = d->labels[index[i]];
        dataset_picture(d, index[i], rng && cnv_random(rng) & 1, cnv_tensor_image(images, i).data);
    }
}

/* The share of the pictures from `first` up to `end` that the network gets right. */
static double accuracy(const example *e, const dataset *d, int first, int end)
{
    cnv_tensor images = {0};
    int i, k, right = 0;
    e->net->training = 0;
    for (i = first; i < end; i += images.n) {
        dataset_batch(e, d, i, end - i < BATCH ? end - i : BATCH, &images);
        example_check(e, cnv_forward(e->net, &images, CNV_ALL));
        for (k = 0; k < images.n; k++) right += example_answer(e, k) == d->labels[i + k];
    }
    cnv_tensor_free(&images);
    return (double)right / (end - first);
}

/* What is plotted: the loss, the accuracy, and the first layer's filters now and then. */
typedef struct {
    double images[POINTS], loss[POINTS], held_out_at[SNAPSHOTS], held_out[SNAPSHOTS];
    cnv_tensor filters[SNAPSHOTS]; /* [K,3,R,S] */
    int points, snapshots;
} history;

/* Remembers the first layer and measures the accuracy, along the way on some pictures only. */
static void snapshot(const example *e, const dataset *d, int first, double seen, history *h)
{
    const cnv_param *weight = &e->net->params[0];
    int end = h->snapshots < SNAPSHOTS - 1 && d->n - first > 500 ? first + 500 : d->n;
    h->held_out_at[h->snapshots] = seen / 1000;
    h->held_out[h->snapshots] = 100 * accuracy(e, d, first, end);
    example_check(e, cnv_tensor_copy(&weight->value, &h->filters[h->snapshots]));
    h->snapshots++;
}

/* Passes over the first `count` pictures in random order until `total` have been seen; the learning
   rate rises over the first 5% and then falls along a cosine. */
static void train(const example *e, const dataset *d, int count, long total, double rate,
                  double decay, history *h)
{
    cnv_optimizer optimizer = cnv_adam(rate, decay);
    cnv_rng rng = cnv_rng_seed(e->seed);
    cnv_tensor images = {0};
    int index[BATCH], labels[BATCH], i, n = 0;
    long seen, next = 0, mark = 0;
    double start = example_seconds(), loss = 0, mean = log(d->classes);
    example_check(e, cnv_tensor_resize(&images, BATCH, 3, d->side, d->side));
    for (seen = 0; seen < total; seen += BATCH) {
        double done = (double)seen / (double)total;
        if (seen >= next) { /* more often at first, when more happens */
            snapshot(e, d, count, (double)seen, h);
            next = total * h->snapshots * h->snapshots / ((SNAPSHOTS - 1) * (SNAPSHOTS - 1));
        }
        if (seen >= mark) {
            h->images[n] = (double)seen / 1000, h->loss[n++] = mean;
            mark = (long)((double)total * n / POINTS);
        }
        for (i = 0; i < BATCH; i++) index[i] = (int)(cnv_uniform(&rng) * count);
        load_batch(d, index, BATCH, &rng, &images, labels);
        optimizer.rate = rate * (done < 0.05 ? done / 0.05 : 0.5 + 0.5 * cos(3.14159265 * done));
        example_check(e, train_step(e->net, e->logits, &images, labels, &optimizer, &loss));
        if (!(loss < 1e6)) example_fail(e, "the loss is %g: the rate %g is too high", loss, rate);
        mean += 0.02 * (loss - mean);
        example_progress("training", (int)(seen / BATCH), (int)(total / BATCH), start);
    }
    h->points = n;
    snapshot(e, d, count, (double)total, h);
    printf("%.0f images in %.0f s, %.0f images/s\n", (double)total, example_seconds() - start,
           (double)total / (example_seconds() - start));
    cnv_tensor_free(&images);
}

/* He's random weights, with three changes. The first layer begins a tenth as large, so that in the
   end its filters show what was learned and not the noise they began with. Biases begin above 0, as
   in AlexNet, so that ReLUs begin in their positive range. And the weights of the codes learn
   slowly: their many inputs rise and fall together, and large steps would push whole units below 0
   for good ("dead" units: see activations.c). */
static int init(cnv_net *net, unsigned long long seed)
{
    cnv_tensor *first = &net->params[0].value;
    size_t k, size = cnv_tensor_size(first);
    int i;
    if (!cnv_init(net, seed)) return 0;
    for (k = 0; k < size; k++) first->data[k] *= 0.1f;
    for (i = 0; i < net->param_count; i++) {
        cnv_param *p = &net->params[i];
        if (p->rank == 1 && i + 1 < net->param_count) cnv_tensor_fill(&p->value, 0.1);
        if (p->rank == 2 && i + 2 < net->param_count) p->rate = 0.1;
    }
    cnv_weights_changed(net);
    return 1;
}

/* Two plots, and under them a column of filter tiles for each moment. */
static int draw(const history *h, cnv_tensor *picture)
{
    const cnv_color white = {1, 1, 1}, ink = {0.1f, 0.1f, 0.12f};
    cnv_tensor plot = {0}, tiles = {0}, sheet = {0}, large = {0};
    char label[64];
    cnv_plot loss = {0}, held_out = {0};
    int i, ok, width = 1330, kernels = h->filters[0].n < 48 ? h->filters[0].n : 48;
    loss.title = "Training loss", loss.x_label = "thousand images seen";
    held_out.title = "Accuracy on held-out images, %", held_out.x_label = loss.x_label;
    loss.x_high = held_out.x_high = h->held_out_at[h->snapshots - 1];
    for (i = 0; i < h->points; i++) loss.y_high = fmax(loss.y_high, h->loss[i]);
    held_out.y_high = 100;
    loss.width = held_out.width = width / 2;
    ok = cnv_canvas(picture, 530 + (kernels + 3) / 4 * (3 * h->filters[0].h + 4), width, white) &&
         cnv_plot_begin(&loss, &plot);
    if (ok) cnv_plot_line(&loss, &plot, h->images, h->loss, h->points, NULL, NULL);
    if (ok) cnv_paste(picture, &plot, 0, 0);
    ok = ok && cnv_plot_begin(&held_out, &plot);
    if (ok) cnv_plot_line(&held_out, &plot, h->held_out_at, h->held_out, h->snapshots, NULL, NULL);
    if (ok)
        cnv_plot_points(&held_out, &plot, h->held_out_at, h->held_out, h->snapshots, NULL, NULL);
    if (ok) cnv_paste(picture, &plot, width / 2, 0);
    cnv_text(picture, 24, 446, 15, ink, "First-layer filters, from noise to the trained network");
    for (i = 0; ok && i < h->snapshots; i++) {
        cnv_tensor some = cnv_tensor_view(h->filters[i].data, kernels, h->filters[i].c,
                                          h->filters[i].h, h->filters[i].w);
        ok = cnv_stretch(&some, 0, &tiles) && cnv_enlarge(&tiles, 3, &large) &&
             cnv_montage(&large, 4, 4, &sheet);
        snprintf(label, sizeof label, "%.0f thousand", h->held_out_at[i]);
        cnv_text(picture, 26 + i * (sheet.w + 14), 486, 11, ink, label);
        if (ok) cnv_paste(picture, &sheet, 24 + i * (sheet.w + 14), 506);
    }
    cnv_tensor_free(&plot), cnv_tensor_free(&tiles);
    cnv_tensor_free(&sheet), cnv_tensor_free(&large);
    return ok;
}

/* Writes the weights, and the class names beside them. */
static void save_weights(const example *e, const dataset *d, const char *path)
{
    char *names = (char *)malloc((size_t)d->classes * 64 + 1), *end = names;
    const char *metadata[5] = {"net", e->model->name, "classes", names, NULL};
    int i;
    if (!names) example_fail(e, "out of memory");
    for (i = 0; i < d->classes; i++) end += sprintf(end, "%s%s", i ? "\n" : "", d->names[i]);
    example_check(e, cnv_save(e->net, path, metadata));
    printf("wrote %s\n", path);
    free(names);
}

/* --bias */
static toy_options world(const example *e)
{
    toy_options options = toy_defaults();
    const char *bias = example_text(e, "bias", "none");
    if (!strcmp(bias, "marker")) options.biased = TOY_BIASED_MARKER;
    else if (!strcmp(bias, "water")) options.biased = TOY_BIASED_WATER;
    else if (strcmp(bias, "none"))
        example_fail(e, "--bias is marker, water or none, not \"%s\"", bias);
    if (options.biased && example_text(e, "data", NULL))
        example_fail(e, "--bias changes Toybox scenes, not the pictures of --data");
    return options;
}

#ifndef EXAMPLE_NO_MAIN
int main(int argc, char **argv)
{
    static history h;
    example e = {0};
    dataset d = {0};
    cnv_tensor picture = {0};
    const char *folder, *weights;
    int held_out, scenes, i;
    long images;
    toy_options options;
    e.program = "train", e.argc = argc, e.argv = argv;
    example_options(&e, "trains a network on Toybox scenes or on your own pictures",
                    "data,images,scenes,rate,decay,bias");
    e.model = example_model(&e, models[0].name);
    options = world(&e);
    e.seed = (unsigned long long)example_number(&e, "seed", 1, 0, 9e15);
    images = (long)example_number(&e, "images", 210000, 64, 1e9);
    scenes = (int)example_number(&e, "scenes", 50000, 100, 1e7);
    folder = example_text(&e, "data", NULL);
    weights = example_text(&e, "weights", "toynet.safetensors");
    e.out = example_text(&e, "out", "train.png");
    d.side = e.model->side;
    if (folder) dataset_open(&e, &d, folder);
    else dataset_toybox(&e, &d, 1000000000000 + e.seed * 100000000, scenes + HELD_OUT, &options);
    if (folder) {
        cnv_rng rng = cnv_rng_seed(e.seed);
        dataset_shuffle(&d, &rng);
    }
    held_out = folder ? 1 + d.n / 10 : HELD_OUT;
    if (d.n <= held_out) example_fail(&e, "\"%s\" has %d picture: too few", folder, d.n);
    e.classes = d.classes, e.net = cnv_net_new();
    example_check(&e, e.net != NULL);
    e.logits = e.model->build(e.net, d.classes);
    example_check(&e, e.logits >= 0 &&
                      (options.biased ? cnv_init(e.net, e.seed) : init(e.net, e.seed)));
    train(&e, &d, d.n - held_out, images, example_number(&e, "rate", 0.0015, 0, 100),
          example_number(&e, "decay", 0.1, 0, 100), &h);
    printf("accuracy on %d held-out images: %.1f %%\n", held_out, h.held_out[h.snapshots - 1]);
    save_weights(&e, &d, weights);
    example_check(&e, draw(&h, &picture));
    example_save(&e, &picture);
    for (i = 0; i < h.snapshots; i++) cnv_tensor_free(&h.filters[i]);
    cnv_tensor_free(&picture);
    dataset_free(&d);
    example_end(&e);
    return 0;
}
#endif
