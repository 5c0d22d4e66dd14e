/* training.h: what a training run leaves behind: the weights with the names of the classes, a
   record of how it went, and a picture of that.

       training h = {0};
       training_note(&h, images_seen, loss), training_snapshot(&e, &d, first, images_seen, &h);
       training_save(&e, &d, &h, "net.safetensors");    // and net.history.safetensors
       training_load(&e, "net.safetensors", &h);
       training_picture(&h, &picture);                                                          */
#ifndef TRAINING_H
#define TRAINING_H

#include "datasets.h"
#include "panel.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { TRAINING_POINTS = 100, TRAINING_SNAPSHOTS = 9 };

/* Of the loss there are many points; of the accuracy and the first layer's filters, a few. */
typedef struct {
    double images[TRAINING_POINTS], loss[TRAINING_POINTS];  /* thousand images seen; mean loss */
    double held_out_at[TRAINING_SNAPSHOTS], held_out[TRAINING_SNAPSHOTS]; /* and per cent right */
    cnv_tensor filters[TRAINING_SNAPSHOTS];                 /* [K,C,R,S] */
    int points, snapshots;
} training;

static inline void training_free(training *h)
{
    int i;
    for (i = 0; i < h->snapshots; i++) cnv_tensor_free(&h->filters[i]);
}

static inline void training_note(training *h, double seen, double loss)
{
    if (h->points == TRAINING_POINTS) return;
    h->images[h->points] = seen / 1000, h->loss[h->points++] = loss;
}

/* Remembers the first layer and measures the accuracy on the pictures from `first` on: on all of
   them in the end, along the way on some. */
static inline void training_snapshot(const example *e, const dataset *d, int first, double seen,
                                     training *h)
{
    int i = h->snapshots, few = i < TRAINING_SNAPSHOTS - 1 && d->n - first > 500;
    int end = few ? first + 500 : d->n;
    h->held_out_at[i] = seen / 1000;
    h->held_out[i] = 100 * dataset_accuracy(e, d, first, end);
    example_check(e, cnv_tensor_copy(&e->net->params[0].value, &h->filters[i]));
    h->snapshots++;
}

/* ---- Files ---- */

/* The record of net.safetensors is net.history.safetensors. */
static inline const char *training_path(const char *weights)
{
    static char path[1024];
    const char *dot = strrchr(weights, '.'), *slash = strrchr(weights, '/');
    int length = (int)strlen(weights);
    if (dot && (!slash || dot > slash)) length = (int)(dot - weights);
    snprintf(path, sizeof path, "%.*s.history%.100s", length, weights, weights + length);
    return path;
}

static const char *const training_names[5] = {"images", "loss", "held_out_at", "held_out",
                                              "filters"}; /* [1,n,1,1] each; [snapshots*K,C,R,S] */

static inline void training_save_record(const example *e, const training *h, const char *path)
{
    const double *numbers[4];
    cnv_tensor t[5] = {{0}};
    const cnv_tensor *f = &h->filters[0];
    int i, k, ok = cnv_tensor_resize(&t[4], h->snapshots * f->n, f->c, f->h, f->w);
    numbers[0] = h->images, numbers[1] = h->loss;
    numbers[2] = h->held_out_at, numbers[3] = h->held_out;
    for (i = 0; ok && i < 4; i++) {
        ok = cnv_tensor_resize(&t[i], 1, i < 2 ? h->points : h->snapshots, 1, 1);
        for (k = 0; ok && k < t[i].c; k++) t[i].data[k] = (float)numbers[i][k];
    }
    for (i = 0; ok && i < h->snapshots; i++)
        memcpy(cnv_tensor_image(&t[4], i * f->n).data, h->filters[i].data,
               cnv_tensor_size(f) * sizeof(float));
    example_check(e, ok && cnv_safetensors_save(path, training_names, t, 5, NULL));
    for (i = 0; i < 5; i++) cnv_tensor_free(&t[i]);
}

/* The weights with the class names beside them, and the record. */
static inline void training_save(const example *e, const dataset *d, const training *h,
                                 const char *weights)
{
    char *names = (char *)malloc((size_t)d->classes * 64 + 1), *end = names;
    const char *metadata[5] = {"net", e->model->name, "classes", names, NULL};
    int i;
    if (!names) example_fail(e, "out of memory");
    for (i = 0; i < d->classes; i++) end += sprintf(end, "%s%s", i ? "\n" : "", d->names[i]);
    example_check(e, cnv_save(e->net, weights, metadata));
    training_save_record(e, h, training_path(weights));
    printf("wrote %s\n", weights);
    free(names);
}

/* A tensor of the record. */
static inline void training_read(const example *e, const cnv_safetensors *file, const char *name,
                                 cnv_tensor *t)
{
    const cnv_safetensor *found = cnv_safetensors_find(file, name);
    int i, size[4] = {0, 0, 0, 0};
    example_check(e, found != NULL);
    for (i = 0; i < 4; i++)
        if (i < found->rank && found->shape[i] <= 65536) size[i] = (int)found->shape[i];
    if (found->rank != 4) example_fail(e, "\"%s\" has %d dimensions, not 4", name, found->rank);
    example_check(e, cnv_tensor_resize(t, size[0], size[1], size[2], size[3]) &&
                     cnv_safetensor_read(found, t->data, cnv_tensor_size(t)));
}

/* Whether a file holds a tensor of just these numbers. */
static inline int training_holds(const cnv_safetensors *file, const cnv_tensor *numbers)
{
    size_t size = cnv_tensor_size(numbers);
    cnv_tensor other = {0};
    int i, found = 0;
    if (!cnv_tensor_copy(numbers, &other)) return 0;
    for (i = 0; i < file->count && !found; i++)
        found = cnv_safetensor_read(&file->tensors[i], other.data, size) &&
                !memcmp(other.data, numbers->data, size * sizeof(float));
    cnv_tensor_free(&other);
    return found;
}

/* The record of a weight file. Returns whether it is this network's own: whether the filters that
   it ends with are in the file. */
static inline int training_load(const example *e, const char *weights, training *h)
{
    cnv_safetensors *net = cnv_safetensors_open(weights), *file;
    cnv_tensor t[5] = {{0}};
    int i, own, n;
    example_check(e, net != NULL);
    file = cnv_safetensors_open(training_path(weights));
    example_check(e, file != NULL);
    for (i = 0; i < 5; i++) training_read(e, file, training_names[i], &t[i]);
    h->points = t[0].c, h->snapshots = t[2].c, n = t[4].n / h->snapshots;
    if (h->points > TRAINING_POINTS || h->snapshots > TRAINING_SNAPSHOTS || t[1].c != t[0].c ||
        t[3].c != t[2].c || t[4].n != n * h->snapshots)
        example_fail(e, "\"%s\" is no record of a training run", training_path(weights));
    for (i = 0; i < h->points; i++)
        h->images[i] = (double)t[0].data[i], h->loss[i] = (double)t[1].data[i];
    for (i = 0; i < h->snapshots; i++) {
        cnv_tensor part = cnv_tensor_view(cnv_tensor_image(&t[4], i * n).data, n, t[4].c, t[4].h,
                                          t[4].w);
        h->held_out_at[i] = (double)t[2].data[i], h->held_out[i] = (double)t[3].data[i];
        example_check(e, cnv_tensor_copy(&part, &h->filters[i]));
    }
    own = training_holds(net, &h->filters[h->snapshots - 1]);
    for (i = 0; i < 5; i++) cnv_tensor_free(&t[i]);
    cnv_safetensors_close(net), cnv_safetensors_close(file);
    return own;
}

/* ---- The picture ---- */

/* Two plots, and under them a column of filter tiles for each moment. */
static inline int training_picture(const training *h, cnv_tensor *picture)
{
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
    ok = cnv_canvas(picture, 530 + (kernels + 3) / 4 * (3 * h->filters[0].h + 4), width,
                    panel_white) && cnv_plot_begin(&loss, &plot);
    if (ok) cnv_plot_line(&loss, &plot, h->images, h->loss, h->points, NULL, NULL);
    if (ok) cnv_paste(picture, &plot, 0, 0);
    ok = ok && cnv_plot_begin(&held_out, &plot);
    if (ok) cnv_plot_line(&held_out, &plot, h->held_out_at, h->held_out, h->snapshots, NULL, NULL);
    if (ok)
        cnv_plot_points(&held_out, &plot, h->held_out_at, h->held_out, h->snapshots, NULL, NULL);
    if (ok) cnv_paste(picture, &plot, width / 2, 0);
    cnv_text(picture, 24, 446, 15, panel_black,
             "First-layer filters, from noise to the trained network");
    for (i = 0; ok && i < h->snapshots; i++) {
        cnv_tensor some = cnv_tensor_view(h->filters[i].data, kernels, h->filters[i].c,
                                          h->filters[i].h, h->filters[i].w);
        ok = cnv_stretch(&some, 0, &tiles) && cnv_enlarge(&tiles, 3, &large) &&
             cnv_montage(&large, 4, 4, &sheet);
        snprintf(label, sizeof label, "%.0f thousand", h->held_out_at[i]);
        cnv_text(picture, 26 + i * (sheet.w + 14), 486, 11, panel_black, label);
        if (ok) cnv_paste(picture, &sheet, 24 + i * (sheet.w + 14), 506);
    }
    cnv_tensor_free(&plot), cnv_tensor_free(&tiles);
    cnv_tensor_free(&sheet), cnv_tensor_free(&large);
    return ok;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
