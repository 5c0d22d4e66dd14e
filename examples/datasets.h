/* datasets.h: many labelled pictures, to train on or to search: Toybox scenes, CIFAR-10 (the binary
   version), MNIST and everything else in IDX files, or a folder with one folder of pictures per
   class. All become bytes [n][3][side][side] of the side that the network wants.

       dataset d = dataset_of(&e, 2000);                    // --data FOLDER, or held-out scenes
       for (i = 0; i < d.n; i += images.n) {                // ... batch by batch
           dataset_batch(&e, &d, i, 64, &images);
           example_check(&e, cnv_forward(e.net, &images, node));
       }                                                                                          */
#ifndef DATASETS_H
#define DATASETS_H

#include "example.h"

#ifndef _WIN32
#include <dirent.h>
#endif

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

typedef struct {
    int n, side, classes;
    unsigned char *pixels;                   /* [n][3][side][side] */
    int *labels;                             /* [n] */
    char names[EXAMPLE_CLASSES][64];
} dataset;

static inline size_t dataset_image_bytes(const dataset *d)
{
    return 3 * (size_t)d->side * (size_t)d->side;
}

/* Room for n more pictures; grows in steps of doubling. */
static inline void dataset_grow(const example *e, dataset *d, int n)
{
    size_t size = 1024, bytes = dataset_image_bytes(d);
    while (size < (size_t)d->n + (size_t)n) size *= 2;
    if (d->pixels && (size_t)d->n + (size_t)n <= 1024) return;
    d->pixels = (unsigned char *)realloc(d->pixels, size * bytes);
    d->labels = (int *)realloc(d->labels, size * sizeof(int));
    if (!d->pixels || !d->labels) example_fail(e, "out of memory for %d pictures", d->n + n);
}

/* Appends a picture of any size, gray or colour. */
static inline void dataset_append(const example *e, dataset *d, const cnv_tensor *picture,
                                  int label)
{
    cnv_tensor square = {0};
    unsigned char *to;
    size_t i, bytes = dataset_image_bytes(d);
    example_check(e, example_square(e, picture, d->side, &square));
    dataset_grow(e, d, 1);
    to = d->pixels + (size_t)d->n * bytes;
    for (i = 0; i < bytes; i++) to[i] = (unsigned char)(255 * square.data[i] + 0.5f);
    d->labels[d->n++] = label;
    cnv_tensor_free(&square);
}

/* n scenes of the picture world, from the seed `first` on. */
static inline void dataset_toybox(const example *e, dataset *d, unsigned long long first, int n,
                                  const toy_options *options)
{
    size_t bytes = dataset_image_bytes(d);
    double start = example_seconds();
    int from, i;
    dataset_grow(e, d, n);
    d->classes = TOY_CLASSES;
    for (i = 0; i < TOY_CLASSES; i++) snprintf(d->names[i], 64, "%s", toy_class_names[i]);
    for (from = 0; from < n; from += 500) {
        int to = from + 500 < n ? from + 500 : n;
#ifdef _OPENMP
#pragma omp parallel for
#endif
        for (i = from; i < to; i++) {
            toy_scene scene = toy_make(first + (unsigned long long)i, options);
            unsigned char *pixel = d->pixels + (size_t)(d->n + i) * bytes;
            cnv_tensor rgb = {0};
            size_t k;
            example_check(e, cnv_tensor_resize(&rgb, 1, 3, d->side, d->side));
            toy_render(&scene, d->side, rgb.data, NULL, NULL), example_gray(e, &rgb);
            for (k = 0; k < bytes; k++) pixel[k] = (unsigned char)(255 * rgb.data[k] + 0.5f);
            cnv_tensor_free(&rgb);
            d->labels[d->n + i] = scene.class_id;
        }
        example_progress("drawing ", to, n, start);
    }
    d->n += n;
}

/* A whole file; *size bytes. */
static inline unsigned char *dataset_file(const example *e, const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    long length = -1;
    if (file && !fseek(file, 0, SEEK_END)) length = ftell(file);
    if (length > 0) bytes = (unsigned char *)malloc((size_t)length);
    if (!bytes || fseek(file, 0, SEEK_SET) ||
        fread(bytes, 1, (size_t)length, file) != (size_t)length)
        example_fail(e, "cannot read \"%s\"", path);
    fclose(file);
    *size = (size_t)length;
    return bytes;
}

/* A picture of bytes [c][h][w] as a tensor in [0,1]. */
static inline void dataset_bytes(const example *e, dataset *d, const unsigned char *bytes, int c,
                                 int h, int w, int label)
{
    cnv_tensor picture = {0};
    int i;
    example_check(e, cnv_tensor_resize(&picture, 1, c, h, w));
    for (i = 0; i < c * h * w; i++) picture.data[i] = (float)bytes[i] / 255;
    dataset_append(e, d, &picture, label);
    cnv_tensor_free(&picture);
}

/* CIFAR-10, binary version: records of one label byte and 3 x 32 x 32 pixels. */
static inline void dataset_cifar(const example *e, dataset *d, const char *path)
{
    static const char *const names[10] = {"airplane", "automobile", "bird", "cat", "deer",
                                          "dog", "frog", "horse", "ship", "truck"};
    size_t size, at, record = 1 + 3 * 32 * 32;
    unsigned char *bytes = dataset_file(e, path, &size);
    int i;
    if (size % record)
        example_fail(e, "\"%s\" is not a CIFAR-10 batch: %.0f bytes are no whole number of records "
                     "of %.0f", path, (double)size, (double)record);
    d->classes = 10;
    for (i = 0; i < 10; i++) snprintf(d->names[i], 64, "%s", names[i]);
    for (at = 0; at < size; at += record) {
        if (bytes[at] > 9) example_fail(e, "\"%s\": label %d in record %.0f is not a digit", path,
                                        bytes[at], (double)(at / record));
        dataset_bytes(e, d, bytes + at + 1, 3, 32, 32, bytes[at]);
    }
    free(bytes);
}

static inline int dataset_big_endian(const unsigned char *b)
{
    return (int)((unsigned)b[0] << 24 | (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3]);
}

/* MNIST and its relatives: an IDX file of n x h x w bytes, and one of n labels. */
static inline void dataset_idx(const example *e, dataset *d, const char *images, const char *labels)
{
    size_t size, label_size;
    unsigned char *pixels = dataset_file(e, images, &size);
    unsigned char *marks = dataset_file(e, labels, &label_size);
    int i, n, h, w;
    if (size < 16 || dataset_big_endian(pixels) != 0x803)
        example_fail(e, "\"%s\" is not an IDX file of images (gunzip it first?)", images);
    if (label_size < 8 || dataset_big_endian(marks) != 0x801)
        example_fail(e, "\"%s\" is not an IDX file of labels (gunzip it first?)", labels);
    n = dataset_big_endian(pixels + 4), h = dataset_big_endian(pixels + 8);
    w = dataset_big_endian(pixels + 12);
    if (n < 1 || h < 1 || w < 1 || h > 4096 || w > 4096 ||
        size != 16 + (uint64_t)n * (uint64_t)h * (uint64_t)w || label_size != 8 + (uint64_t)n ||
        dataset_big_endian(marks + 4) != n)
        example_fail(e, "\"%s\" and \"%s\" do not hold the same number of whole images and labels",
                     images, labels);
    for (i = 0; i < n; i++) {
        int label = marks[8 + i];
        if (label >= d->classes) {
            for (; d->classes <= label; d->classes++)
                snprintf(d->names[d->classes], 64, "%d", d->classes);
        }
        dataset_bytes(e, d, pixels + 16 + (size_t)i * (size_t)(h * w), 1, h, w, label);
    }
    free(pixels);
    free(marks);
}

static inline int dataset_by_name(const void *a, const void *b)
{
    return strcmp((const char *)a, (const char *)b);
}

/* The entries of a folder in the order of their names, but those with a dot in front; returns how
   many there are. */
static inline int dataset_list(const char *path, char (**names)[256])
{
    int n = 0;
    *names = NULL;
#ifndef _WIN32
    {
        DIR *folder = opendir(path);
        struct dirent *entry;
        while (folder && (entry = readdir(folder)) != NULL) {
            if (entry->d_name[0] == '.') continue;
            if (!(n & (n - 1)))
                *names = (char(*)[256])realloc(*names, (n ? 2 * (size_t)n : 1) * sizeof **names);
            if (!*names) break;
            snprintf((*names)[n++], sizeof **names, "%s", entry->d_name);
        }
        if (folder) closedir(folder);
    }
#else
    (void)path;
#endif
    if (n) qsort(*names, (size_t)n, sizeof **names, dataset_by_name);
    return n;
}

/* A folder of folders: each is a class, and holds its pictures. */
static inline void dataset_folder(const example *e, dataset *d, const char *path)
{
    char (*classes)[256], (*files)[256], name[1024];
    int c, i, count = dataset_list(path, &classes);
    for (c = 0; c < count; c++) {
        int n, before = d->n;
        snprintf(name, sizeof name, "%s/%s", path, classes[c]);
        n = dataset_list(name, &files);
        if (n && d->classes == EXAMPLE_CLASSES)
            example_fail(e, "\"%s\" has more than %d classes", path, EXAMPLE_CLASSES);
        for (i = 0; i < n; i++) {
            cnv_tensor picture = {0};
            snprintf(name, sizeof name, "%s/%s/%s", path, classes[c], files[i]);
            example_check(e, cnv_image_load(name, &picture));
            dataset_append(e, d, &picture, d->classes);
            cnv_tensor_free(&picture);
        }
        if (d->n > before) snprintf(d->names[d->classes++], 64, "%.63s", classes[c]);
        free(files);
    }
    free(classes);
    if (d->classes < 2)
        example_fail(e, "\"%s\" has no data_batch_1.bin (CIFAR-10), no train-images-idx3-ubyte "
                     "(MNIST), and no two folders with pictures in them", path);
}

static inline int dataset_exists(const char *folder, const char *name, char *path, size_t size)
{
    FILE *file;
    snprintf(path, size, "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

/* Whatever lies in a folder. */
static inline void dataset_open(const example *e, dataset *d, const char *folder)
{
    char path[1024], labels[1024], batch[32];
    int i;
    if (dataset_exists(folder, "data_batch_1.bin", path, sizeof path)) {
        for (i = 1; i <= 5; i++) {
            snprintf(batch, sizeof batch, "data_batch_%d.bin", i);
            if (dataset_exists(folder, batch, path, sizeof path)) dataset_cifar(e, d, path);
        }
    } else if (dataset_exists(folder, "train-images-idx3-ubyte", path, sizeof path)) {
        snprintf(labels, sizeof labels, "%s/train-labels-idx1-ubyte", folder);
        dataset_idx(e, d, path, labels);
    } else {
        dataset_folder(e, d, folder);
    }
}

static inline void dataset_free(dataset *d)
{
    free(d->pixels);
    free(d->labels);
}

/* Picture i as floats [3][side][side] in [0,1]; or its mirror image. */
static inline void dataset_picture(const dataset *d, int i, int mirror, float *to)
{
    const unsigned char *from = d->pixels + (size_t)i * dataset_image_bytes(d);
    int row, x, side = d->side;
    for (row = 0; row < 3 * side; row++)
        for (x = 0; x < side; x++)
            to[row * side + x] = (float)from[row * side + (mirror ? side - 1 - x : x)] / 255;
}

/* Pictures from `first` on, [count,3,side,side]; fewer at the end. */
static inline void dataset_batch(const example *e, const dataset *d, int first, int count,
                                 cnv_tensor *images)
{
    int i;
    if (count > d->n - first) count = d->n - first;
    example_check(e, cnv_tensor_resize(images, count, 3, d->side, d->side));
    for (i = 0; i < count; i++)
        dataset_picture(d, first + i, 0, cnv_tensor_image(images, i).data);
}

/* Pictures by number and their labels; with an rng half of them mirrored. images: [count,...] */
static inline void dataset_pick(const dataset *d, const int *index, int count, cnv_rng *rng,
                                cnv_tensor *images, int *labels)
{
    int i;
    for (i = 0; i < count; i++) {
        labels[i] = d->labels[index[i]];
        dataset_picture(d, index[i], rng && cnv_random(rng) & 1, cnv_tensor_image(images, i).data);
    }
}

/* How many pictures to run at once: fewer if they are large, for every layer keeps its own. */
static inline int dataset_lot(const dataset *d)
{
    int lot = 64 * 64 * 64 / (d->side * d->side);
    return lot < 1 ? 1 : lot < 64 ? lot : 64;
}

/* The share of the pictures from `first` up to `end` that the network gets right. */
static inline double dataset_accuracy(const example *e, const dataset *d, int first, int end)
{
    cnv_tensor images = {0};
    int i, k, right = 0, lot = dataset_lot(d);
    e->net->training = 0;
    for (i = first; i < end; i += images.n) {
        dataset_batch(e, d, i, end - i < lot ? end - i : lot, &images);
        example_check(e, cnv_forward(e->net, &images, CNV_ALL));
        for (k = 0; k < images.n; k++) right += example_answer(e, k) == d->labels[i + k];
    }
    cnv_tensor_free(&images);
    return (double)right / (end - first);
}

/* What a node says of every picture: codes [n,C,H,W]. */
static inline void dataset_codes(const example *e, const dataset *d, int node, cnv_tensor *codes)
{
    const cnv_tensor *out = &e->net->nodes[node].out;
    cnv_tensor images = {0};
    double start = example_seconds();
    int i;
    for (i = 0; i < d->n; i += images.n) {
        dataset_batch(e, d, i, dataset_lot(d), &images);
        example_check(e, cnv_forward(e->net, &images, node) &&
                         (i || cnv_tensor_resize(codes, d->n, out->c, out->h, out->w)));
        memcpy(cnv_tensor_image(codes, i).data, out->data, cnv_tensor_size(out) * sizeof(float));
        example_progress("coding  ", i + images.n, d->n, start);
    }
    cnv_tensor_free(&images);
}

/* Puts the pictures in random order, so that a part of them is a fair sample. */
static inline void dataset_shuffle(dataset *d, cnv_rng *rng)
{
    size_t bytes = dataset_image_bytes(d), k;
    int i;
    for (i = d->n - 1; i > 0; i--) {
        int j = (int)(cnv_uniform(rng) * (i + 1)), label = d->labels[i];
        unsigned char *a = d->pixels + (size_t)i * bytes, *b = d->pixels + (size_t)j * bytes;
        d->labels[i] = d->labels[j], d->labels[j] = label;
        for (k = 0; k < bytes; k++) {
            unsigned char byte = a[k];
            a[k] = b[k], b[k] = byte;
        }
    }
}

/* Pictures to train on, and behind them pictures to measure by: those of the folder after --data in
   random order, of which a tenth is held out, or else scenes of the Toybox, and as many more, at
   most 2000. Returns how many are to train on. */
static inline int dataset_to_train(const example *e, dataset *d, int scenes,
                                   const toy_options *options)
{
    const char *folder = example_text(e, "data", NULL);
    cnv_rng rng = cnv_rng_seed(e->seed);
    int held_out = scenes < 2000 ? scenes : 2000;
    d->side = e->model->side;
    if (folder) {
        dataset_open(e, d, folder);
        dataset_shuffle(d, &rng);
        held_out = 1 + d->n / 10;
    } else
        dataset_toybox(e, d, 1000000000000 + e->seed * 100000000, scenes + held_out, options);
    if (d->n <= held_out) example_fail(e, "\"%s\" has %d picture: too few", folder, d->n);
    return d->n - held_out;
}

/* At most n pictures to look at: those of the folder after --data, in random order, or else
   held-out scenes: picture i is the scene of seed EXAMPLE_HELD_OUT + i. */
static inline dataset dataset_of(const example *e, int n)
{
    const char *folder = example_text(e, "data", NULL);
    dataset d;
    memset(&d, 0, sizeof d);
    d.side = e->model->side;
    if (folder) {
        cnv_rng rng = cnv_rng_seed(e->seed);
        dataset_open(e, &d, folder);
        dataset_shuffle(&d, &rng);
        if (d.n > n) d.n = n;
    } else {
        dataset_toybox(e, &d, EXAMPLE_HELD_OUT, n, NULL);
        if (!example_toys(e))
            printf("shown: %s, which %s was not trained on\n", example_count(n, "Toybox scene"),
                   e->model->name);
    }
    return d;
}

/* The pictures of one folder, as one class. */
static inline void dataset_pictures(const example *e, dataset *d, const char *path)
{
    char (*files)[256], name[1024];
    int i, n = dataset_list(path, &files);
    if (!n) example_fail(e, "\"%s\" is no folder with pictures", path);
    for (i = 0; i < n; i++) {
        cnv_tensor picture = {0};
        snprintf(name, sizeof name, "%s/%s", path, files[i]);
        example_check(e, cnv_image_load(name, &picture));
        dataset_append(e, d, &picture, 0);
        cnv_tensor_free(&picture);
    }
    free(files);
}

/* The picture that the program looks at and at most n - 1 others, images [n,3,side,side], each with
   the class that the network answers. class_id: [n] */
static inline void dataset_answers(const example *e, int n, cnv_tensor *images, int *class_id)
{
    dataset d = dataset_of(e, n);
    cnv_tensor first;
    int i;
    dataset_batch(e, &d, 0, n, images), first = cnv_tensor_image(images, 0);
    example_check(e, cnv_tensor_copy(&e->image, &first) && cnv_forward(e->net, images, e->logits));
    for (i = 0; i < images->n; i++) class_id[i] = i ? example_answer(e, i) : e->class_id;
    dataset_free(&d);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
